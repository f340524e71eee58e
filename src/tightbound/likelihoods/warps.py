"""Numbers of one kind each as numbers that may lie anywhere: logarithms, logits, and units.

u = (t(x) - shift) / scale, with t(x) = x for real numbers and counts, log x for positive ones and
log(s / (1 - s)) for bounded ones, s = 0.005 + 0.99 (x - low) / (high - low): their ends may be
among the data, and the little that a normal has beyond them is lost.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.errors import UsageError
from tightbound.core.supports import POSITIVE, REAL, Support, interval
from tightbound.data.schema import Column
from tightbound.networks import Fixed

_MARGIN = 0.005


class Warps(eqx.Module):
    """The maps of m columns, with their slopes."""

    shift: Fixed
    scale: Fixed
    limits: tuple[tuple[float, float] | None, ...] = eqx.field(static=True)
    """Of each column the ends that it lies between; (0, inf) of positive, None of any numbers."""

    @staticmethod
    def of(x: Float[np.ndarray, "n m"], columns: Sequence[Column | None]) -> "Warps":
        """The maps after which these columns have mean 0 and variance 1, holes (NaN) left out.

        Raises:
            UsageError: A column with one value alone.
        """
        limits = tuple(map(_limits, columns))
        t = _warped(np, np.asarray(x, np.float64), limits)
        shift, scale = np.nanmean(t, axis=0), np.nanstd(t, axis=0)
        constant = ~(scale > 1e-12 * (1 + np.abs(shift)))
        if constant.any():
            place = int(np.argmax(constant))
            column = columns[place]
            name = f"number {place}" if column is None else repr(column.name)
            raise UsageError(
                f"the training data: column {name} has one value alone, at which a density has no "
                "maximum: leave the column out"
            )
        return Warps(Fixed.of(shift), Fixed.of(scale), limits)

    @property
    def supports(self) -> tuple[Support, ...]:
        """Where x of each column lies."""
        return tuple(
            REAL if ends is None else POSITIVE if np.isinf(ends[1]) else interval(*ends)
            for ends in self.limits
        )

    def centre(self, dtype: jnp.dtype) -> Float[Array, " m"]:
        """A value x of each column."""
        return self.inverse(jnp.zeros(len(self.limits), dtype))

    def __call__(self, x: Float[Array, " m"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """U, and log |du/dx| in nats."""
        scale = self.scale.values.astype(x.dtype)
        u = (_warped(jnp, x, self.limits) - self.shift.values.astype(x.dtype)) / scale
        return u, self._log_slope(x) - jnp.log(scale)

    def inverse(self, u: Float[Array, " m"]) -> Float[Array, " m"]:
        """X of each u."""
        t = u * self.scale.values.astype(u.dtype) + self.shift.values.astype(u.dtype)
        low, high, positive, bounded = _ends(self.limits, u.dtype)
        found = jnp.where(positive, jnp.exp(jnp.where(positive, t, 0.0)), t)
        inner = jax.nn.sigmoid(jnp.where(bounded, t, 0.0))
        share = jnp.clip((inner - _MARGIN) / (1 - 2 * _MARGIN), 0.0, 1.0)
        return jnp.where(bounded, low + (high - low) * share, found).astype(u.dtype)

    def _log_slope(self, x: Float[Array, " m"]) -> Float[Array, " m"]:
        low, high, positive, bounded = _ends(self.limits, x.dtype)
        of_log = -jnp.log(jnp.where(positive, x, 1.0))
        inner = _inner(jnp.where(bounded, x, (low + high) / 2), low, high)
        of_logit = jnp.log((1 - 2 * _MARGIN) / (high - low)) - jnp.log(inner * (1 - inner))
        slope = jnp.where(positive, of_log, jnp.where(bounded, of_logit, 0.0))
        return slope.astype(x.dtype)


def _limits(column: Column | None) -> tuple[float, float] | None:
    if column is None or column.kind not in ("positive", "bounded"):
        return None
    if column.kind == "positive":
        return (0.0, float("inf"))
    assert column.low is not None
    assert column.high is not None
    return (float(column.low), float(column.high))


def _ends(limits: Sequence[tuple[float, float] | None], dtype: Any) -> tuple[np.ndarray, ...]:
    """Low, high (0 and 1 where there are none), which are positive, and which are bounded."""
    ends = np.array([(0.0, np.nan) if of is None else of for of in limits]).reshape(-1, 2)
    bounded = np.isfinite(ends[:, 1])
    low, high = np.where(bounded, ends.T, np.array([[0.0], [1.0]])).astype(dtype)
    return low, high, np.isposinf(ends[:, 1]), bounded


def _inner(x: Any, low: Any, high: Any) -> Any:
    """The share of the way from low to high, kept off both ends."""
    return _MARGIN + (1 - 2 * _MARGIN) * (x - low) / (high - low)


def _warped(xp: Any, x: Any, limits: Sequence[tuple[float, float] | None]) -> Any:
    """T(x), by NumPy or JAX."""
    low, high, positive, bounded = _ends(limits, x.dtype)
    of_log = xp.log(xp.where(positive, x, 1.0))
    inner = _inner(xp.where(bounded, x, (low + high) / 2), low, high)
    of_logit = xp.log(inner) - xp.log(1 - inner)
    return xp.where(positive, of_log, xp.where(bounded, of_logit, x)).astype(x.dtype)
