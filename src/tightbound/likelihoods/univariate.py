"""What a likelihood of one column is: a law of one number, from free numbers that a network gives.

A module holds the laws of all columns that it is for, and works on all of them together. Densities,
draws and means are in the data's own units: nats with respect to counting measure where values are
discrete, else to length in the column's unit. All free numbers at 0 give the law of the training
column as a whole; its moments are `Fixed`, and what does not depend on z is a trained parameter.
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.supports import Support
from tightbound.data.schema import LEVELLED, Column
from tightbound.networks import Fixed

Values = Float[Array, " m"]
"""A number for each column."""
Free = Float[Array, "m size"]
"""The free numbers of each column."""


class AbstractUnivariate(eqx.Module):
    """Laws of m columns, each of one number."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many free numbers a column has."""

    @property
    @abc.abstractmethod
    def supports(self) -> tuple[Support, ...]:
        """Where the values of each column lie."""

    @property
    def levels(self) -> int | None:
        """How many levels a column has whose values are numbers of levels, from 0; else None."""
        return None

    @property
    def sees(self) -> str:
        """How networks see a value: "real", "log", "log1p", "arcsinh" or "levels" of `Features`."""
        return "real"

    @property
    def centre_is(self) -> str:
        """What `mean` is: "mean", or "median", "mode" or "geometric mean" in place of it."""
        return "mean"

    @property
    def inside(self) -> Values:
        """A value of each column's support, to stand where one is missing."""
        return jnp.zeros(len(self.supports))

    @property
    def log_unit(self) -> Values:
        """Log of the unit in which a density is computed, whose rounding counts; 0 for masses."""
        return jnp.zeros(len(self.supports))

    @abc.abstractmethod
    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density or log-mass of a value of each column, in nats."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw of each column."""

    @abc.abstractmethod
    def mean(self, free: Free) -> Values:
        """The mean of each column, or what `centre_is` says."""

    def log_probs(self, free: Free) -> Float[Array, "m levels"]:
        """Log-mass of each level in nats.

        Raises:
            UsageError: The values are no levels.
        """
        del free
        raise UsageError(f"{type(self).__name__} has no levels: its values are numbers")

    def push(self, noise: Values, free: Free) -> tuple[Values, Values]:
        """What standard normal noise becomes, and log p(x) |dx / dnoise| / N(noise) of each value.

        Raises:
            UsageError: The values are no differentiable function of noise, or none is known.
        """
        del noise, free
        raise UsageError(
            f"the values of {type(self).__name__} are no differentiable function of normal noise "
            "that is known here: expected gaussian, gaussian_scalar, gaussian_column, "
            "gaussian_fixed, log_normal or student_t for numbers; levels need none"
        )

    def normal_each(self, free: Free) -> tuple[Values, Values]:
        """Mean and standard deviation of each column, in the data's units, where it is normal.

        Raises:
            UsageError: It is not.
        """
        del free
        raise UsageError(
            f"{type(self).__name__} is no normal law: expected gaussian, gaussian_scalar, "
            "gaussian_column or gaussian_fixed, or binary values"
        )

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger.

        Raises:
            UsageError: There is no closed form.
        """
        del values, free
        raise UsageError(f"{type(self).__name__} has no cdf in closed form")

    def icdf(self, p: Values, free: Free) -> Values:
        """The value at which the cdf is p.

        Raises:
            UsageError: There is no closed form.
        """
        del p, free
        raise UsageError(f"{type(self).__name__} has no icdf in closed form")


class Part(NamedTuple):
    """The training data of the columns that one law is for, in float64 with NaN where missing."""

    values: Float[np.ndarray, "n m"]
    columns: tuple[Column, ...]

    def check(self, inside: Support) -> None:
        """Refuses values outside a support.

        Raises:
            UsageError: The column's name, the value, and what is expected.
        """
        wrong = ~(inside.inside(self.values) | np.isnan(self.values))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise UsageError(
                f"the training data: row {row} (counted from 0), column "
                f"{self.columns[column].name!r} is {self.values[row, column]:g}, expected "
                f"{inside.expected}"
            )

    def moments(self) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Mean and standard deviation of the known values of each column.

        Raises:
            UsageError: A column with one value alone, at which a density would grow without end.
        """
        self._check_spread()
        return np.nanmean(self.values, axis=0), np.nanstd(self.values, axis=0)

    def robust(self) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Median, and the interquartile range over that of N(0, 1); the deviation where that is 0.

        Raises:
            UsageError: As for `moments`.
        """
        _, deviation = self.moments()
        low, middle, high = np.nanquantile(self.values, (0.25, 0.5, 0.75), axis=0)
        spread = (high - low) / 1.3489795
        return middle, np.where(spread > 0, spread, deviation)

    def _check_spread(self) -> None:
        constant = np.nanmin(self.values, axis=0) == np.nanmax(self.values, axis=0)
        if constant.any():
            column = int(np.argmax(constant))
            raise UsageError(
                f"the training data: column {self.columns[column].name!r} has the one value "
                f"{np.nanmin(self.values[:, column]):g} alone, at which a density has no maximum: "
                "leave the column out"
            )

    def floors(self, scale: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """The least scale of each density, over `scale`.

        Equal numbers, such as many zeros, would let a density grow without end. The floor is what
        the source's own rounding hides, step / sqrt(12), and at least 1e-3 of the column's scale;
        never more than half of it.
        """
        steps = [0.0 if c.decimals is None else 10.0**-c.decimals for c in self.columns]
        return np.clip(np.array(steps) / np.sqrt(12) / scale, 1e-3, 0.5)


def n_levels(column: Column, x: Float[np.ndarray, " n"]) -> int:
    """Those that the schema lists; without one, as many as the training data's largest number says.

    Raises:
        UsageError: The training data hold no whole numbers from 0, or one level alone.
    """
    if column.kind in LEVELLED and column.levels:
        return len(column.levels)
    largest = float(np.nanmax(x))
    if not largest.is_integer() or largest < 1 or largest > 10_000:
        raise UsageError(
            f"the training data: column {column.name!r} has the largest value {largest:g}: "
            "expected levels numbered 0, 1, ..., and two of them or more"
        )
    return int(largest) + 1


def like(fixed: Fixed, other: Float[Array, "..."]) -> Float[Array, "..."]:
    """Fixed numbers in the precision of others."""
    return fixed.values.astype(other.dtype)
