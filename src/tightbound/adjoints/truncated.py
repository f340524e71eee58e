"""Reverse-mode differentiation through the last steps of the inner optimiser alone.

Reference: Shaban, Cheng, Hatch & Boots 2019, arXiv 1810.10667 (truncated back-propagation).
Bias: what the parts do to the inner problem before the last steps is left out.
"""

from typing import Any

import equinox as eqx
import optax
from jaxtyping import Array, Int

from tightbound.adjoints.abstract import AbstractAdjoint, Inner, InnerLoss
from tightbound.adjoints.first_order import FirstOrder
from tightbound.adjoints.unrolled import Unrolled
from tightbound.core.errors import UsageError


class Truncated(AbstractAdjoint):
    """Some steps, of which the outer gradient goes through the `last` ones."""

    steps: int = eqx.field(static=True, default=10)
    last: int = eqx.field(static=True, default=3)

    def __check_init__(self) -> None:
        """Refuses more last steps than there are."""
        if not 1 <= self.last <= self.steps:
            raise UsageError(f"expected last from 1 to steps={self.steps}, got {self.last}")

    @property
    def description(self) -> str:
        """The call that makes it."""
        return f"Truncated({self.steps}, last={self.last})"

    def solve(
        self, loss: InnerLoss, params: Any, inner: Inner, optimizer: optax.GradientTransformation
    ) -> Inner:
        """Where the variables are after the steps, as a function of the parts in the last ones."""
        first = self.steps - self.last

        def later(params: Any, aux: Any, number: Int[Array, ""]) -> Any:
            return loss(params, aux, number + first)

        inner = FirstOrder(first).solve(loss, params, inner, optimizer)
        return Unrolled(self.last).solve(later, params, inner, optimizer)
