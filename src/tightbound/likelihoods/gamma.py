"""Gamma laws of columns, by their mean and their relative spread.

Written about the mean, k (x / mean - 1 - log(x / mean)), since differences of large log-gammas
would be lost (`stirling`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from tightbound.core.supports import POSITIVE, Support
from tightbound.likelihoods.gaussian import floored
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.stirling import excess, rest
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed


class GammaColumns(AbstractUnivariate):
    """Gamma with the mean m exp(a) and the shape k, where 1 / k = (s exp(b))^2 + (s floor)^2.

    s is the training column's standard deviation over its mean m; a and b are free numbers.
    """

    middle: Fixed
    spread: Fixed
    floor: Fixed

    @property
    def size(self) -> int:
        """A and b."""
        return 2

    @property
    def supports(self) -> tuple[Support, ...]:
        """Positive numbers."""
        return (POSITIVE,) * self.middle.bits.shape[0]

    @property
    def sees(self) -> str:
        """The logarithm."""
        return "log"

    @property
    def inside(self) -> Values:
        """The training columns' means."""
        return self.middle.values

    @property
    def log_unit(self) -> Values:
        """Log of the training columns' means."""
        return jnp.log(self.middle.values)

    def parameters(self, free: Free) -> tuple[Values, Values]:
        """Shape, from 0.001, and mean, in the data's units."""
        log_mean, log_k = self._logs(free)
        return jnp.exp(log_k), jnp.exp(log_mean)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density in nats."""
        log_mean, log_k = self._logs(free)
        k, mean = jnp.exp(log_k), jnp.exp(log_mean)
        return rest(k) - jnp.log(values) - k * _divergence(values, mean, log_mean)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, differentiable in the parameters, from 1e-35 to 1e35."""
        log_mean, log_k = self._logs(free)
        log_gamma = jax.random.loggamma(key, jnp.exp(log_k))
        return jnp.exp(jnp.clip(log_gamma - log_k + log_mean, -80.0, 80.0))

    def mean(self, free: Free) -> Values:
        """The mean."""
        return self.parameters(free)[1]

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger."""
        k, mean = self.parameters(free)
        return jax.scipy.special.gammainc(k, k * values / mean)

    def _logs(self, free: Free) -> tuple[Values, Values]:
        """Of the mean and of the shape."""
        log_mean = jnp.log(like(self.middle, free)) + free[:, 0]
        log_spread = jnp.log(like(self.spread, free)) + floored(free[:, 1], like(self.floor, free))
        return jnp.clip(log_mean, -80.0, 80.0), jnp.maximum(-2.0 * log_spread, -6.9)


def _divergence(values: Values, mean: Values, log_mean: Values) -> Values:
    """R - 1 - log r at r = value / mean."""
    t = (values - mean) / mean
    # Below a half, 1 + t would lose the digits of a small value.
    small = t < -0.5
    direct = t - (jnp.log(values) - log_mean)
    return jnp.where(small, direct, excess(jnp.where(small, 0.0, t)))


def _of(part: Part) -> GammaColumns:
    part.check(POSITIVE)
    mean, deviation = part.moments()
    floors = part.floors(deviation)
    return GammaColumns(Fixed.of(mean), Fixed.of(deviation / mean), Fixed.of(floors))


LIKELIHOODS = {
    "gamma": Likelihood("positive values, by mean and relative spread", univariate=_of),
}
