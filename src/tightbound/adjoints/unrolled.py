"""Reverse-mode differentiation through the steps of the inner optimiser.

What the steps need in the reverse pass is made again, segment by segment: of T steps about
2 sqrt(T) are kept at once, for one more forward pass.

Reference: Huszar 2017, arXiv 1702.08235 (JC-Adv-RMD); Maclaurin, Duvenaud & Adams 2015,
arXiv 1502.03492 (reverse-mode hypergradients); Chen et al. 2016, arXiv 1604.06174 (segments).
Bias: none for the inner problem as it is solved, with so many steps; where it started is taken as
given.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from tightbound.adjoints.abstract import AbstractAdjoint, Inner, InnerLoss, descend


class Unrolled(AbstractAdjoint):
    """Some steps, all of which the outer gradient goes through."""

    steps: int = eqx.field(static=True, default=10)

    @property
    def description(self) -> str:
        """The call that makes it."""
        return f"Unrolled({self.steps})"

    def solve(
        self, loss: InnerLoss, params: Any, inner: Inner, optimizer: optax.GradientTransformation
    ) -> Inner:
        """Where the variables are after the steps, as a function of the parts."""

        def step(inner: Inner, number: Int[Array, ""]) -> tuple[Inner, None]:
            return descend(loss, params, inner, optimizer, number), None

        @jax.checkpoint
        def segment(inner: Inner, numbers: Int[Array, " steps"]) -> tuple[Inner, None]:
            return jax.lax.scan(step, inner, numbers)

        length = max(1, math.isqrt(self.steps))
        whole = self.steps // length
        numbers = jnp.arange(self.steps)
        inner, _ = jax.lax.scan(
            segment,
            jax.lax.stop_gradient(inner),
            numbers[: whole * length].reshape(whole, length),
        )
        return segment(inner, numbers[whole * length :])[0]
