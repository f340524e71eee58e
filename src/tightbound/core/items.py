"""What a datum carries through the library: its values, which of them are known, and its row.

Holes are NaN where data enter and a mask inside. Data without holes are plain arrays all the way:
nothing about them changes, and nothing costs.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped


class Datum(NamedTuple):
    """A datum of which some values are missing, or several of them along a leading axis."""

    x: Float[Array, "*item"]
    """The values; 0 where they are missing."""
    observed: Bool[Array, "*item"]
    """Which of them are known."""


One = Float[Array, "*item"] | Datum
"""One datum as densities and networks are given it."""
Data = Float[Array, "n *item"] | Datum
"""Data along a leading axis, as objectives and estimators see them."""


class Items(NamedTuple):
    """A minibatch of data as objectives see them."""

    x: Float[Array, "n *item"]
    """Values, binarised where the likelihood is; 0 where they are missing."""
    rows: Int[Array, " n"]
    """The row of each in the training data."""
    observed: Bool[Array, "n *item"] | None = None
    """Which values are known; None where all are."""

    @property
    def data(self) -> Data:
        """What densities and networks are given, datum by datum."""
        return self.x if self.observed is None else Datum(self.x, self.observed)

    @staticmethod
    def of(x: Float[Array, "n *item"]) -> "Items":
        """Data by themselves, numbered from 0."""
        return Items(x, jnp.arange(x.shape[0]))


def without_holes(
    x: Shaped[np.ndarray, "n *item"],
) -> tuple[Shaped[np.ndarray, "n *item"], Bool[np.ndarray, "n *item"] | None]:
    """Values with 0 in place of NaN, and which of them are known: None if all are."""
    missing = np.isnan(x)
    if not missing.any():
        return x, None
    return np.where(missing, np.zeros((), x.dtype), x), ~missing


def on_device(x: Shaped[np.ndarray, "n *item"]) -> Data:
    """Data with holes as NaN on the device, in single precision, with a mask if there are any."""
    known, observed = without_holes(x)
    values = jnp.asarray(known, jnp.float32)
    return values if observed is None else Datum(values, jnp.asarray(observed))


def taken(data: Data, rows: Int[Array, " b"]) -> Items:
    """Some rows of the data."""
    if isinstance(data, Datum):
        return Items(data.x[rows], rows, data.observed[rows])
    return Items(data[rows], rows)


def with_holes(x: Any) -> Any:
    """Values with NaN where they are missing."""
    return jnp.where(x.observed, x.x, jnp.nan) if isinstance(x, Datum) else x


def values(x: Any) -> Any:
    """What is given, or of a `Datum` its values with 0 where they are missing."""
    return x.x if isinstance(x, Datum) else x
