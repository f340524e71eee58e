"""The inner solution as a constant: the outer gradient does not see how it came about.

Reference: Huszar 2017, arXiv 1702.08235; Mescheder et al. 2017, arXiv 1701.04722, proposition 2:
at the optimum of a log-ratio, that part of the gradient has the mean zero.
Bias: none at the inner optimum; before it, that of the inner error.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from tightbound.adjoints.abstract import AbstractAdjoint, Inner, InnerLoss, descend


class FirstOrder(AbstractAdjoint):
    """Some steps; no gradient goes through them."""

    steps: int = eqx.field(static=True, default=1)

    @property
    def description(self) -> str:
        """The call that makes it."""
        return f"FirstOrder({self.steps})"

    def solve(
        self, loss: InnerLoss, params: Any, inner: Inner, optimizer: optax.GradientTransformation
    ) -> Inner:
        """Where the variables are after the steps, as constants."""
        params = jax.lax.stop_gradient(params)

        def step(inner: Inner, number: Int[Array, ""]) -> tuple[Inner, None]:
            return descend(loss, params, inner, optimizer, number), None

        inner, _ = jax.lax.scan(step, jax.lax.stop_gradient(inner), jnp.arange(self.steps))
        return jax.lax.stop_gradient(inner)
