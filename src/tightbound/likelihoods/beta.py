"""Beta laws of bounded columns, by their mean and their precision.

Ferrari & Cribari-Neto 2004 (the beta law by mean and precision). A value that is rounded to an end
would have an infinite density: the interval of the law is a little longer on both sides, by half of
the rounding step, or by 1e-3 of the column's standard deviation where no step is known. Densities
integrate to one over that interval, and draws lie in it.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.core.supports import Support, interval
from tightbound.likelihoods.gaussian import floored
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.stirling import excess, rest
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed

EDGE = 1e-6
"""How near the mean comes to an end, as a share of the interval."""

NEAREST = 2.0**-24
"""How near a value comes to an end, likewise."""


class BetaColumns(AbstractUnivariate):
    """Beta on [low - beyond, high + beyond] with mean sigmoid(m + a) and precision n.

    1 / n = (exp(2 b) + floor^2) / n_0, with m and n_0 of the training column's moments; a and b are
    free numbers.
    """

    middle: Fixed
    """m, the logit of the training column's mean."""
    log_precision: Fixed
    """Log of n_0."""
    floor: Fixed
    ends: tuple[tuple[float, float, float], ...] = eqx.field(static=True)
    """low, high and beyond of each column."""

    @property
    def size(self) -> int:
        """A and b."""
        return 2

    @property
    def supports(self) -> tuple[Support, ...]:
        """Numbers between the ends, and as much beyond as rounding can take them."""
        return tuple(interval(*ends) for ends in self.ends)

    @property
    def inside(self) -> Values:
        """The middle of each interval."""
        return jnp.array([0.5 * (low + high) for low, high, _ in self.ends], jnp.float32)

    @property
    def log_unit(self) -> Values:
        """Log of the interval's length."""
        return jnp.log(self._interval(jnp.float32)[1])

    def parameters(self, free: Free) -> tuple[Values, Values, Values, Values]:
        """alpha, beta, and start and length of the interval."""
        mean, n = self._inner(free)
        start, length = self._interval(free.dtype)
        return mean * n, (1.0 - mean) * n, start, length

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density in nats."""
        mean, n = self._inner(free)
        a, b = mean * n, (1.0 - mean) * n
        start, length = self._interval(free.dtype)
        # Nearer to an end single precision tells no values apart: 0 would be a guess.
        u = jnp.clip((values - start) / length, NEAREST, 1.0)
        v = jnp.clip((start + length - values) / length, NEAREST, 1.0)
        away = a * _less(u, mean) + b * _less(v, 1.0 - mean)
        constant = rest(a) + rest(b) - rest(n)
        return constant - away - jnp.log(u) - jnp.log(v) - jnp.log(length)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, differentiable in the parameters."""
        alpha, beta, start, length = self.parameters(free)
        key_a, key_b = streams(key, "beta_columns.a", "beta_columns.b")
        log_a, log_b = jax.random.loggamma(key_a, alpha), jax.random.loggamma(key_b, beta)
        return start + length * jax.nn.sigmoid(log_a - log_b)

    def mean(self, free: Free) -> Values:
        """The mean."""
        start, length = self._interval(free.dtype)
        return start + length * self._inner(free)[0]

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger."""
        alpha, beta, start, length = self.parameters(free)
        u = jnp.clip((values - start) / length, 0.0, 1.0)
        return jax.scipy.special.betainc(alpha, beta, u)

    def _inner(self, free: Free) -> tuple[Values, Values]:
        """Mean in (0, 1), and precision."""
        mean = jax.nn.sigmoid(like(self.middle, free) + free[:, 0])
        log_n = like(self.log_precision, free) - 2.0 * floored(free[:, 1], like(self.floor, free))
        return jnp.clip(mean, EDGE, 1.0 - EDGE), jnp.exp(jnp.maximum(log_n, -7.0))

    def _interval(self, dtype: Any) -> tuple[Values, Values]:
        start = np.array([low - beyond for low, _, beyond in self.ends])
        length = np.array([high - low + 2 * beyond for low, high, beyond in self.ends])
        return jnp.asarray(start, dtype), jnp.asarray(length, dtype)


def _less(u: Values, mean: Values) -> Values:
    """(u - mean) / mean - log(u / mean): what is linear cancels between the two sides."""
    t = (u - mean) / mean
    small = t < -0.5
    return jnp.where(small, t - (jnp.log(u) - jnp.log(mean)), excess(jnp.where(small, 0.0, t)))


def _of(part: Part, low: float | None = None, high: float | None = None) -> BetaColumns:
    _, deviation = part.moments()
    ends = []
    for place, column in enumerate(part.columns):
        first, last = (
            0.0 if column.low is None else column.low,
            1.0 if column.high is None else column.high,
        )
        first, last = first if low is None else float(low), last if high is None else float(high)
        if not first < last:
            raise UsageError(
                f"column {column.name!r}: expected low < high, got low={first:g}, high={last:g}"
            )
        beyond = 1e-3 * deviation[place]
        beyond = beyond if column.decimals is None else 0.5 * 10.0**-column.decimals
        ends.append((first, last, float(beyond)))
        Part(part.values[:, place : place + 1], (column,)).check(interval(*ends[-1]))
    start = np.array([low - beyond for low, _, beyond in ends])
    length = np.array([high - low + 2 * beyond for low, high, beyond in ends])
    mean = (np.nanmean(part.values, axis=0) - start) / length
    # Of 0 and 1 alone there is no more variance than mean (1 - mean), which has n = 0.
    n = np.maximum(mean * (1 - mean) / (deviation / length) ** 2 - 1, 1e-2)
    floors = part.floors(deviation) * np.sqrt(n / (1 + n))
    middle = np.log(mean) - np.log1p(-mean)
    return BetaColumns(Fixed.of(middle), Fixed.of(np.log(n)), Fixed.of(floors), tuple(ends))


LIKELIHOODS = {
    "beta": Likelihood(
        "values between two ends, 0 and 1 unless it is said: beta(low=0, high=100)",
        univariate=_of,
        options=("low", "high"),
    ),
}
