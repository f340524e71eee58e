"""Counts values and gradients of a density inside compiled code."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Counter:
    """What a density was asked: each point of a batch counts, at run time.

    A gradient counts once, with its value, and each column of a Hessian (a derivative of a
    gradient along one direction) is a gradient too. The callback costs time: runs that count are
    not the ones that are timed.
    """

    def __init__(self) -> None:
        """Starts at none."""
        self.evaluations = 0
        self.gradients = 0

    def of(self, density: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same density of one point, counted."""
        tick = self._tick()
        return lambda z: density(z) + tick(z[0])

    def _tick(self) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
        """A function that is 0 everywhere, and is called where the density is."""

        def add_value(z: Any) -> Any:
            self.evaluations += np.size(z)
            return np.zeros(np.shape(z), np.asarray(z).dtype)

        def add_gradient(z: Any) -> Any:
            self.gradients += np.size(z)
            return np.zeros(np.shape(z), np.asarray(z).dtype)

        def zero(add: Callable[[Any], Any], z: Any) -> Any:
            like = jax.ShapeDtypeStruct((), jnp.result_type(z))
            return jax.pure_callback(add, like, z, vmap_method="expand_dims")

        @jax.custom_jvp
        def gradient(z: Any) -> Any:
            return zero(add_gradient, z)

        @gradient.defjvp
        def _(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
            (z,), (along,) = primals, tangents
            # One call for each direction of a batch of them.
            return gradient(z), along * zero(add_gradient, z + 0 * along)

        @jax.custom_jvp
        def tick(z: Any) -> Any:
            return zero(add_value, z)

        @tick.defjvp
        def _(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
            (z,), (along,) = primals, tangents
            # The compiler drops calls whose result is not used: value and derivative share one.
            none = gradient(z)
            return none, along * none

        return tick
