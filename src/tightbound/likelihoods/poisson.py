"""Poisson laws of counts, in the saddle-point form of Loader (2000), which float32 can hold."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.supports import COUNT, Support
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.stirling import excess, rest
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed

LARGEST = 1e9
"""Rates of draws, which are 32-bit integers on the way."""


class PoissonColumns(AbstractUnivariate):
    """Counts with the rate r exp(a), where r is the training column's mean and a a free number."""

    log_rate: Fixed
    """log r."""

    @property
    def size(self) -> int:
        """A."""
        return 1

    @property
    def supports(self) -> tuple[Support, ...]:
        """Counts."""
        return (COUNT,) * self.log_rate.bits.shape[0]

    @property
    def sees(self) -> str:
        """log(1 + count)."""
        return "log1p"

    def parameters(self, free: Free) -> tuple[Values]:
        """The rate."""
        return (jnp.exp(self._log_rate(free)),)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        log_rate = self._log_rate(free)
        rate, x = jnp.exp(log_rate), jnp.maximum(values, 1.0)
        return jnp.where(values > 0, rest(x) - jnp.log(x) - x * away(rate, x, log_rate), -rate)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, as floats."""
        return draw(key, self.parameters(free)[0])

    def mean(self, free: Free) -> Values:
        """The rate."""
        return self.parameters(free)[0]

    def _log_rate(self, free: Free) -> Values:
        return jnp.clip(like(self.log_rate, free) + free[:, 0], -80.0, 80.0)


def away(rate: Values, x: Values, log_rate: Values) -> Values:
    """R - 1 - log r at r = rate / x, for x >= 1."""
    t = (rate - x) / x
    small = t < -0.5
    return jnp.where(small, t - (log_rate - jnp.log(x)), excess(jnp.where(small, 0.0, t)))


def draw(key: PRNGKeyArray, rate: Values) -> Values:
    """Poisson draws as floats."""
    counts = jax.random.poisson(key, jnp.minimum(rate, LARGEST))
    return counts.astype(rate.dtype)


def start(part: Part) -> np.ndarray:
    """Log of each training column's mean, with half a count more than there are."""
    part.check(COUNT)
    known = np.maximum((~np.isnan(part.values)).sum(axis=0), 1)
    return np.log((np.nansum(part.values, axis=0) + 0.5) / known)


def of(part: Part) -> PoissonColumns:
    """Laws with the mean of the training columns at the start."""
    return PoissonColumns(Fixed.of(start(part)))


LIKELIHOODS = {
    "poisson": Likelihood("counts with a variance as large as the mean", univariate=of),
}
