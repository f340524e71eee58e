"""What networks see of a table: standardised numbers and one-hot levels, and no codes or counts."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from tightbound.core.items import Datum, One
from tightbound.networks.fixed import Fixed
from tightbound.networks.holes import AbstractReader, read
from tightbound.networks.standardization import Standardization, standardizing

SMALLEST = 1e-30
"""The least number whose logarithm is taken."""
LOGARITHMS = {"log": lambda x: np.log(np.maximum(x, SMALLEST)), "log1p": np.log1p}


class Features(eqx.Module):
    """The map from rows of a table to what networks see; nothing in it is trained.

    First come the columns that are numbers, in their order: each itself, its logarithm ("log") or
    log(1 + x) ("log1p"), standardised by the training data's mean and standard deviation; or,
    where tails are heavy ("arcsinh"), arcsinh of what median and interquartile range make of it.
    Then come the columns that are levels, each as one number per level, 1 at its own. What is
    missing is 0 everywhere; behind all stands the mask, 1 where a value is known, if the training
    data have missing values.
    """

    standardization: Standardization
    """Of the columns that are numbers, on the scales on which they are seen."""
    sees: tuple[str, ...] = eqx.field(static=True)
    """"real", "log", "log1p", "arcsinh" or "levels" for each column."""
    levels: tuple[int, ...] = eqx.field(static=True)
    """How many levels a column has; 0 for numbers."""
    masked: bool = eqx.field(static=True, default=False)
    before: int = eqx.field(static=True, default=0)
    """Numbers before the row that stay as they are."""

    @staticmethod
    def of(
        x: Float[np.ndarray, "n d"], sees: tuple[str, ...], levels: tuple[int, ...]
    ) -> "Features":
        """The map for training data, NaN where they are missing."""
        numbers = [i for i, kind in enumerate(sees) if kind != "levels"]
        seen = np.zeros((len(x), len(numbers)))
        for place, column in enumerate(numbers):
            one = x[:, column].astype(np.float64)
            seen[:, place] = LOGARITHMS.get(sees[column], lambda x: x)(one)
        units = Standardization.of(seen)
        if units is None:
            units = Standardization(
                Fixed.of(np.zeros(len(numbers))), Fixed.of(np.ones(len(numbers)))
            )
        shift, scale = (np.array(fixed.values) for fixed in (units.shift, units.scale))
        for place, column in enumerate(numbers):
            if sees[column] == "arcsinh":
                low, shift[place], high = np.nanquantile(seen[:, place], (0.25, 0.5, 0.75))
                scale[place] = high - low if high > low else scale[place]
        units = Standardization(Fixed.of(shift), Fixed.of(scale))
        return Features(units, sees, levels, bool(np.isnan(x).any()))

    @property
    def size(self) -> int:
        """How many numbers networks see of a row."""
        of_row = sum(n if n else 1 for n in self.levels)
        return self.before + of_row + (len(self.sees) if self.masked else 0)

    def behind(self, n: int) -> "Features":
        """The same for vectors with n numbers before the row that stay as they are."""
        return Features(self.standardization, self.sees, self.levels, self.masked, n)

    def __call__(self, x: Any) -> Any:
        """What networks see of one row or several; of a `Datum`, beside its condition."""
        if isinstance(x, Datum):
            seen = self._seen(x.x, x.observed)
            return seen if x.condition is None else Datum(seen, condition=x.condition)
        return self._seen(x, None)

    @property
    def columns(self) -> np.ndarray:
        """The column that each feature is of, without those of the mask."""
        return np.array([*self._of_numbers, *np.repeat(np.arange(len(self.levels)), self.levels)])

    @property
    def _of_numbers(self) -> list[int]:
        return [i for i, kind in enumerate(self.sees) if kind != "levels"]

    def _seen(
        self, x: Float[Array, "*n d"], observed: Bool[Array, "*n d"] | None
    ) -> Float[Array, "*n size"]:
        first, x = x[..., : self.before], x[..., self.before :]
        each = [self._numbers(x)]
        for column, n in enumerate(self.levels):
            if n:
                numbers = jnp.arange(n, dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (n,))
                each.append((x[..., column, None] == numbers).astype(x.dtype))
        seen, known = jnp.concatenate(each, axis=-1), jnp.ones_like(x)
        if observed is not None:
            known = observed[..., self.before :].astype(x.dtype)
            seen = jnp.where(observed[..., self.before :][..., self.columns], seen, 0.0)
        return jnp.concatenate([first, seen, *([known] if self.masked else [])], axis=-1)

    def _numbers(self, x: Float[Array, "*n d"]) -> Float[Array, "*n numbers"]:
        numbers = self._of_numbers
        some = x if len(numbers) == len(self.sees) else x[..., np.array(numbers, int)]
        kinds = np.array([self.sees[i] for i in numbers])
        for kind, taken in (
            ("log", lambda x: jnp.log(jnp.maximum(x, SMALLEST))),
            ("log1p", lambda x: jnp.log1p(jnp.maximum(x, 0.0))),
        ):
            if np.all(kinds == kind) and len(kinds):
                some = taken(some)
            elif np.any(kinds == kind):
                here = np.broadcast_to(kinds == kind, some.shape)
                some = jnp.where(here, taken(some), some)
        seen = self.standardization(some)
        heavy = kinds == "arcsinh"
        if not np.any(heavy):
            return seen
        return jnp.where(np.broadcast_to(heavy, seen.shape), jnp.arcsinh(seen), seen)


class Featurized(AbstractReader):
    """A network that is given rows of a table and sees their features."""

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]
    features: Features

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """The output for one datum."""
        return read(self.network, self.features(given))


def viewing(network: Any, view: Standardization | Features | None, *, behind: int = 0) -> Any:
    """The network for data as they come, behind so many other numbers, that sees them by a view."""
    if isinstance(view, Features):
        return Featurized(network, view.behind(behind) if behind else view)
    return standardizing(network, view, behind=behind)
