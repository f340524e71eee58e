"""Negative binomial laws of counts, by mean and size, in the saddle-point form of Loader (2000).

A Poisson law whose rate has a gamma law (Greenwood & Yule 1920): variance = mean + mean^2 / size.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.core.supports import COUNT, Support
from tightbound.likelihoods.poisson import draw, start
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.stirling import rest
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed

SIZES = (1e-2, 1e4)
"""Between which the size starts: beyond the last one the law is a Poisson one."""


class NegativeBinomialColumns(AbstractUnivariate):
    """Counts with the mean m exp(a) and the size r exp(b); a and b are free numbers.

    m is the training column's mean, and r the size that its variance asks for.
    """

    log_mean: Fixed
    log_size: Fixed

    @property
    def size(self) -> int:
        """A and b."""
        return 2

    @property
    def supports(self) -> tuple[Support, ...]:
        """Counts."""
        return (COUNT,) * self.log_mean.bits.shape[0]

    @property
    def sees(self) -> str:
        """log(1 + count)."""
        return "log1p"

    def parameters(self, free: Free) -> tuple[Values, Values]:
        """Size and mean."""
        log_mean, log_size = self._logs(free)
        return jnp.exp(log_size), jnp.exp(log_mean)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        log_mean, log_size = self._logs(free)
        mean, r = jnp.exp(log_mean), jnp.exp(log_size)
        x = jnp.maximum(values, 1.0)
        n, whole = x + r, mean + r
        # n log (n / whole) + x log (mean / x), without what cancels between the two.
        own = _log1p(
            r / whole * ((mean - x) / x), jnp.log(n) - jnp.log(x) + log_mean - jnp.log(whole)
        )
        rest_of = _log1p((x - mean) / whole, jnp.log(n) - jnp.log(whole))
        positive = x * own + r * rest_of - jnp.log(x) + rest(r) + rest(x) - rest(n)
        none = -r * jnp.log1p(jnp.exp(log_mean - log_size))
        return jnp.where(values > 0, positive, none)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, as floats."""
        log_mean, log_size = self._logs(free)
        gamma_key, count_key = streams(key, "negative_binomial.rate", "negative_binomial.count")
        log_rate = jax.random.loggamma(gamma_key, jnp.exp(log_size)) - log_size + log_mean
        return draw(count_key, jnp.exp(jnp.clip(log_rate, -80.0, 80.0)))

    def mean(self, free: Free) -> Values:
        """The mean."""
        return self.parameters(free)[1]

    def _logs(self, free: Free) -> tuple[Values, Values]:
        """Of mean and size."""
        log_mean = like(self.log_mean, free) + free[:, 0]
        log_size = like(self.log_size, free) + free[:, 1]
        return jnp.clip(log_mean, -40.0, 40.0), jnp.clip(log_size, -15.0, 25.0)


def _log1p(t: Values, far: Values) -> Values:
    """Log (1 + t), given it where t is not near 0."""
    near = jnp.abs(t) < 0.5
    return jnp.where(near, jnp.log1p(jnp.where(near, t, 0.0)), far)


def of(part: Part) -> NegativeBinomialColumns:
    """Laws with mean and variance of the training columns at the start."""
    log_mean = start(part)
    mean, variance = np.exp(log_mean), np.nanvar(part.values, axis=0)
    size = mean**2 / np.maximum(variance - mean, mean**2 / SIZES[1])
    return NegativeBinomialColumns(Fixed.of(log_mean), Fixed.of(np.log(np.clip(size, *SIZES))))


LIKELIHOODS = {
    "negative_binomial": Likelihood(
        "counts with a variance of their own, above the mean", univariate=of
    ),
}
