"""A network's output with its input beside it, so that a linear map needs no hidden units."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.items import One
from tightbound.networks.dense import flat
from tightbound.networks.holes import AbstractReader, read


class Beside(AbstractReader):
    """X and the network of x: a dense layer behind it can begin as a linear model of x."""

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """Both, for one item."""
        return jnp.concatenate([flat(given), read(self.network, given)])
