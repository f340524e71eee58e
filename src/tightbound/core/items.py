"""What a datum carries through the library: values, a mask, a label, a condition, and its row.

Holes are NaN where data enter and a mask inside. Data without holes and conditions are plain arrays
all the way: nothing about them changes, and nothing costs.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Datum(NamedTuple):
    """A datum with missing values or a condition, or several of them along a leading axis."""

    x: Float[Array, "*item"]
    """The values; 0 where they are missing."""
    observed: Bool[Array, "*item"] | None = None
    """Which of them are known; None where all are."""
    condition: Float[Array, " c"] | None = None
    """What p(x|z, c), q(z|x, c) and p(z|c) are given beside; None where there is nothing."""


class Given(eqx.Module):
    """What the likelihood p(x|z, c) of a model with a condition is given."""

    z: Any
    """One z: an array, or a tuple of layers, bottom layer first."""
    condition: Any
    """The condition c of shape (c,)."""


One = Float[Array, "*item"] | Datum | Given
"""What densities and networks are given: one datum, or one z, with its condition if it has one."""
Data = Float[Array, "n *item"] | Datum
"""Data along a leading axis, as objectives and estimators see them."""


class Items(NamedTuple):
    """Data as objectives see them: a minibatch, or all of them on the device."""

    x: Float[Array, "n *item"]
    """Values, binarised where the likelihood is; 0 where they are missing."""
    rows: Int[Array, " n"]
    """The row of each in the training data."""
    observed: Bool[Array, "n *item"] | None = None
    """Which values are known; None where all are."""
    label: Int[Array, " n"] | None = None
    """The label of each, from 0, and -1 where it is not known; None where there are none."""
    condition: Float[Array, "n c"] | None = None
    """The condition of each; None where the model takes none."""
    labelled: "Items | None" = None
    """Data with labels that an objective asked for beside a minibatch; None elsewhere."""

    @property
    def data(self) -> Data:
        """What densities and networks are given, datum by datum."""
        if self.observed is None and self.condition is None:
            return self.x
        return Datum(self.x, self.observed, self.condition)

    def at(self, rows: Int[Array, " b"]) -> "Items":
        """Some rows of these, which are all that there are."""
        observed, label, condition = (
            None if leaf is None else leaf[rows]
            for leaf in (self.observed, self.label, self.condition)
        )
        return Items(self.x[rows], rows, observed, label, condition)

    @staticmethod
    def of(x: Float[Array, "n *item"]) -> "Items":
        """Data by themselves, numbered from 0."""
        return Items(x, jnp.arange(x.shape[0]))


def with_holes(x: Any) -> Any:
    """The values of data, with NaN where they are missing."""
    if not isinstance(x, Datum) or x.observed is None:
        return values(x)
    return jnp.where(x.observed, x.x, jnp.nan)


def values(x: Any) -> Any:
    """What is given without its condition; of a `Datum` its values, 0 where they are missing."""
    if isinstance(x, Datum):
        return x.x
    return x.z if isinstance(x, Given) else x


def observed(x: Any) -> Bool[Array, "*item"]:
    """Which values of data are known."""
    known = x.observed if isinstance(x, Datum) else None
    return jnp.ones(values(x).shape, bool) if known is None else known


def condition(x: Any) -> Any:
    """The condition that a datum or a z comes with; None where it has none."""
    return x.condition if isinstance(x, Datum | Given) else None


def having(z: Any, condition: Float[Array, " c"] | None) -> Any:
    """A z as a likelihood is given it: with the condition, if there is one."""
    return z if condition is None else Given(z, condition)
