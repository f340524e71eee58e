"""Discretised logistic laws of columns: whole numbers or decimals, by the mass of their bins.

Kingma et al. 2016, arXiv 1606.04934, section 5.2.1; Salimans, Karpathy, Chen & Kingma 2017, arXiv
1701.05517, section 2.1 (the outer bins take the tails).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.supports import Support, lattice
from tightbound.likelihoods.ordinal import log1mexp
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed

NEAR = 40
"""Bins on each side that count for a mean where the scale is below the step."""


class DiscretisedLogisticColumns(AbstractUnivariate):
    """The multiple of the step next to a logistic draw at shift + scale a, of scale s exp(b).

    The logistic law has the training column's mean and standard deviation at a = b = 0. Between
    ends, the first and the last bin have the mass beyond them too.
    """

    shift: Fixed
    scale: Fixed
    steps: tuple[float, ...] = eqx.field(static=True)
    ends: tuple[tuple[float, float], ...] | None = eqx.field(static=True, default=None)
    """First and last value of each column; None where there are none."""

    @property
    def size(self) -> int:
        """A and b."""
        return 2

    @property
    def supports(self) -> tuple[Support, ...]:
        """Multiples of the steps."""
        ends = ((None, None),) * len(self.steps) if self.ends is None else self.ends
        return tuple(lattice(step, *end) for step, end in zip(self.steps, ends, strict=True))

    @property
    def inside(self) -> Values:
        """The value next to each training column's mean."""
        return self._nearest(self.shift.values)

    def parameters(self, free: Free) -> tuple[Values, Values]:
        """Location and scale of the logistic law, in the data's units."""
        scale = like(self.scale, free)
        location = like(self.shift, free) + scale * free[:, 0]
        return location, scale * (math.sqrt(3) / math.pi) * jnp.exp(jnp.clip(free[:, 1], -30, 30))

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        location, scale = self.parameters(free)
        half = 0.5 * self._step(free) / scale
        t = (values - location) / scale
        below, above = jax.nn.log_sigmoid(t + half), jax.nn.log_sigmoid(half - t)
        mass = below + above + log1mexp(2.0 * half)
        if self.ends is None:
            return mass
        low, high = self._ends(free)
        near = 0.5 * self._step(free)
        mass = jnp.where(values > high - near, above, mass)
        return jnp.where(values < low + near, below, mass)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, as floats."""
        location, scale = self.parameters(free)
        return self._nearest(location + scale * jax.random.logistic(key, scale.shape, scale.dtype))

    def mean(self, free: Free) -> Values:
        """The mean of the discrete law."""
        location, scale = self.parameters(free)
        step = self._step(free)
        if self.ends is None:
            # Above one step, the bins move the mean by less than 1e-7 of a step.
            middle = self._nearest(location)
            beyond = (jnp.arange(NEAR, dtype=free.dtype) + 0.5)[None] * step[:, None]
            off = (middle - location)[:, None]
            more = jax.nn.sigmoid(-(off + beyond) / scale[:, None])
            less = jax.nn.sigmoid((off - beyond) / scale[:, None])
            return jnp.where(scale > step, location, middle + step * jnp.sum(more - less, axis=1))
        low, high = self._ends(free)
        n = max(round((b - a) / s) for (a, b), s in zip(self.ends, self.steps, strict=True))
        edges = low[:, None] + (jnp.arange(n, dtype=free.dtype) + 0.5)[None] * step[:, None]
        more = jax.nn.sigmoid((location[:, None] - edges) / scale[:, None])
        return low + step * jnp.sum(jnp.where(edges < high[:, None], more, 0.0), axis=1)

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger."""
        location, scale = self.parameters(free)
        half = 0.5 * self._step(free)
        p = jax.nn.sigmoid((values - location + half) / scale)
        return p if self.ends is None else jnp.where(values > self._ends(free)[1] - half, 1.0, p)

    def icdf(self, p: Values, free: Free) -> Values:
        """The least value at which the cdf is p or more."""
        location, scale = self.parameters(free)
        at = location + scale * (jnp.log(p) - jnp.log1p(-p))
        step = self._step(free)
        start = jnp.zeros_like(step) if self.ends is None else self._ends(free)[0]
        return self._kept(start + step * jnp.ceil((at - start) / step - 0.5))

    def _nearest(self, values: Values) -> Values:
        step = self._step(values)
        start = jnp.zeros_like(step) if self.ends is None else self._ends(values)[0]
        return self._kept(start + step * jnp.round((values - start) / step))

    def _kept(self, values: Values) -> Values:
        return values if self.ends is None else jnp.clip(values, *self._ends(values))

    def _step(self, other: Float[Array, "..."]) -> Values:
        return jnp.asarray(np.array(self.steps), other.dtype)

    def _ends(self, other: Float[Array, "..."]) -> tuple[Values, Values]:
        ends = np.array(self.ends)
        return jnp.asarray(ends[:, 0], other.dtype), jnp.asarray(ends[:, 1], other.dtype)


def of(
    part: Part,
    step: int | float | None = None,
    low: int | float | None = None,
    high: int | float | None = None,
) -> DiscretisedLogisticColumns:
    """Laws of a step, which the schema or whole numbers say if it is left out, and of ends.

    Raises:
        UsageError: No step is known, or one end without the other, or values beside the steps.
    """
    given = None if low is None or high is None else (float(low), float(high))
    if given is None and (low, high) != (None, None):
        raise UsageError(
            "discretised_logistic has two ends or none: expected low= and high= together, got "
            f"low={low}, high={high}"
        )
    steps, ends = [], []
    for place, column in enumerate(part.columns):
        one = part.values[:, place]
        known = one[~np.isnan(one)]
        own = step if step is not None else _step(column.decimals, known, column.name)
        between = given
        if given is None and column.low is not None and column.high is not None:
            between = column.low, column.high
        if not own > 0 or (between is not None and not between[0] < between[1]):
            raise UsageError(
                f"column {column.name!r}: expected step > 0 and low < high, got step={own}, and "
                f"low and high {between}"
            )
        steps.append(float(own))
        ends.append(between)
        support = lattice(steps[-1], *(ends[-1] or (None, None)))
        Part(one[:, None], (column,)).check(support)
    both = [end for end in ends if end is not None]
    if both and len(both) < len(ends):
        raise UsageError(
            "discretised_logistic: some of its columns have ends and some have none: expected "
            "low= and high=, or other likelihoods for some of them"
        )
    mean, deviation = np.nanmean(part.values, axis=0), np.nanstd(part.values, axis=0)
    scale = np.maximum(deviation, 0.25 * np.array(steps))
    found = Fixed.of(mean), Fixed.of(scale), tuple(steps)
    return DiscretisedLogisticColumns(*found, tuple(both) or None)


def _step(decimals: int | None, known: Float[np.ndarray, " n"], name: str) -> float:
    if decimals is not None:
        return 10.0**-decimals
    if np.all(known == np.floor(known)):
        return 1.0
    raise UsageError(
        f"column {name!r} has values between whole numbers, and nothing says by which step: "
        "expected discretised_logistic(step=0.1), say"
    )


LIKELIHOODS = {
    "discretised_logistic": Likelihood(
        "whole numbers, or decimals of a step, as masses: discretised_logistic(step=0.1)",
        univariate=of,
        options=("step", "low", "high"),
    ),
}
