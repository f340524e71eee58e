"""What adjoints share: some optimiser steps on an inner loss that depends on outer parts."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, Int

InnerLoss = Callable[[Any, Any, Int[Array, ""]], Float[Array, ""]]
"""(parts, aux, number of the step) to the inner problem's loss."""


class Inner(NamedTuple):
    """The inner problem's variables, as arrays only, and the state of their optimiser."""

    aux: Any
    optimizer: Any


class AbstractAdjoint(eqx.Module):
    """Steps on an inner loss, and what the outer gradient sees of them."""

    steps: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """The call that makes it."""

    @abc.abstractmethod
    def solve(
        self, loss: InnerLoss, params: Any, inner: Inner, optimizer: optax.GradientTransformation
    ) -> Inner:
        """Where the variables are after the steps."""


def descend(
    loss: InnerLoss,
    params: Any,
    inner: Inner,
    optimizer: optax.GradientTransformation,
    number: Int[Array, ""],
) -> Inner:
    """One step of the optimiser."""
    grads = jax.grad(lambda aux: loss(params, aux, number))(inner.aux)
    # Optax mixes integers and floats, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, state = optimizer.update(grads, inner.optimizer, inner.aux)
        return Inner(optax.apply_updates(inner.aux, updates), state)
