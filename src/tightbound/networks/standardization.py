"""The units of data and those of networks: x = shift + scale * u, column by column."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One
from tightbound.networks.fixed import Fixed
from tightbound.networks.holes import AbstractReader, read

SMALLEST, LARGEST = 1e-30, 1e30
"""Standard deviations beyond which single precision under- or overflows on the way."""


class Standardization(eqx.Module):
    """The map u = (x - shift) / scale from data to what networks see; nothing in it is trained."""

    shift: Fixed
    scale: Fixed

    @staticmethod
    def of(x: Float[np.ndarray, "n d"]) -> "Standardization | None":
        """Makes mean 0 and standard deviation 1 of each column; None where x has them to the bit.

        Holes (NaN) do not count. A column with one value alone, or none, has the scale 1.

        Raises:
            UsageError: A column whose standard deviation is out of single precision's reach.
        """
        shift, scale = np.zeros(x.shape[1], np.float32), np.ones(x.shape[1], np.float32)
        at_once = max(1, 2**22 // len(x))  # columns looked at together: bounds the memory
        for first in range(0, x.shape[1], at_once):
            here = slice(first, first + at_once)
            shift[here], scale[here] = _mean_and_deviation(x[:, here].astype(np.float64))
        beyond = (scale < SMALLEST) | (scale > LARGEST)
        if beyond.any():
            column = int(np.argmax(beyond))
            raise UsageError(
                f"the training data: column {column} (counted from 0) has the standard deviation "
                f"{scale[column]:.3g}, expected one from {SMALLEST:g} to {LARGEST:g}; change its "
                "unit"
            )
        if not shift.any() and np.all(scale == 1):
            return None
        return Standardization(Fixed.of(shift), Fixed.of(scale))

    def __call__(self, x: Any) -> Any:
        """Standardised values, of one item or several; missing ones become 0, the column's mean."""
        if isinstance(x, Datum):
            u = self(x.x)
            filled = u if x.observed is None else jnp.where(x.observed, u, 0.0)
            return Datum(filled, x.observed, x.condition)
        return (x - self._shift(x)) / self._scale(x)

    def inverse(self, u: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """The values in the data's units."""
        return self._shift(u) + self._scale(u) * u

    def log_scale(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Log |dx / du| of each column, in the precision of x: a density of x has that less."""
        return jnp.log(self.scale.values.astype(x.dtype))

    def behind(self, n: int) -> "Standardization":
        """The same for vectors with n numbers before x that stay as they are."""
        before = np.zeros(n, np.float32), np.ones(n, np.float32)
        parts = np.asarray(self.shift.values), np.asarray(self.scale.values)
        return Standardization(*map(Fixed.of, map(np.concatenate, zip(before, parts, strict=True))))

    def _shift(self, x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        return jnp.broadcast_to(self.shift.values.astype(x.dtype), x.shape)

    def _scale(self, x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        return jnp.broadcast_to(self.scale.values.astype(x.dtype), x.shape)


def _mean_and_deviation(
    x: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Of each column without its holes; a column that is constant has the deviation 1."""
    known = ~np.isnan(x)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, x, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, x - mean, 0.0) ** 2).sum(axis=0) / count)
    low, high = np.where(known, x, np.inf).min(axis=0), np.where(known, x, -np.inf).max(axis=0)
    # The mean of equal numbers may be rounded to another one.
    return np.where(low == high, low, mean), np.where(low < high, deviation, 1.0)


class Standardizing(AbstractReader):
    """A network that is given data in their own units and sees standardised ones."""

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]
    standardization: Standardization

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """The output for one datum."""
        return read(self.network, self.standardization(given))


def standardizing(
    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]],
    standardization: Standardization | None,
    *,
    behind: int = 0,
) -> Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]:
    """The network for data in their own units, which stand behind so many other numbers."""
    if standardization is None:
        return network
    return Standardizing(network, standardization.behind(behind) if behind else standardization)
