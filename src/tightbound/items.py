"""What a datum carries through the library: its values, and its row in the source."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Items(NamedTuple):
    """A minibatch of data as objectives see them."""

    x: Float[Array, "n d"]
    """Values, binarised where the likelihood is."""
    rows: Int[Array, " n"]
    """The row of each in the training data."""

    @staticmethod
    def of(x: Float[Array, "n d"]) -> "Items":
        """Data by themselves, numbered from 0."""
        return Items(x, jnp.arange(x.shape[0]))
