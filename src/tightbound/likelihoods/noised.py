"""Data behind known noise: flipped bits under binary likelihoods, normal noise under normal ones.

With P(y != x) = e: P(y = 1|z) = p (1 - e) + (1 - p) e, and Bayes' rule for x. With x ~ N(m, s^2)
and y = x + t N(0, 1): y ~ N(m, s^2 + t^2), and x given y is normal with the mean m + s^2 / (s^2 +
t^2) (y - m) and the variance s^2 t^2 / (s^2 + t^2) (Bishop 2006, eq. 2.115 - 2.117).
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.supports import BINARY, REAL
from tightbound.distributions.bernoulli import draw
from tightbound.likelihoods.degraded import AbstractDegraded


class Flipped(AbstractDegraded):
    """Pixels in {0, 1}, each of which is the other one with probability `rate`."""

    likelihood: Any
    """Of independent values in {0, 1}."""
    shape: tuple[int, ...] = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    """In (0, 1/2]."""

    @property
    def support(self) -> str:
        """0 or 1."""
        return BINARY

    @property
    def numbers(self) -> int:
        """A few for each pixel."""
        return 2 * math.prod(self.shape)

    def back(self, value: Float[Array, "*item"]) -> Float[Array, "*item"]:
        """Y as it is."""
        return value

    def log_prob_each(self, value: Float[Array, "*item"], given: Any) -> Float[Array, "*item"]:
        """Log-mass of each pixel in nats."""
        return jnp.log(sum(self._joint(value, given)))

    def mean(self, given: Any) -> Float[Array, "*item"]:
        """The probabilities of a one."""
        ones = jnp.ones(self.shape)
        return sum(self._joint(ones, given), start=jnp.zeros(self.shape))

    def mean_clean(
        self, value: Float[Array, "*item"], observed: Bool[Array, "*item"], given: Any
    ) -> Float[Array, "*item"]:
        """The probability of a one in x."""
        zero, one = self._joint(value, given)
        unseen = jnp.exp(ones_and_zeros(self.likelihood, self.shape, given)[0])
        return jnp.where(observed, one / (zero + one), unseen)

    def sample_clean(
        self,
        value: Float[Array, "*item"],
        observed: Bool[Array, "*item"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*item"]:
        """Independent pixels with these probabilities."""
        return draw(self.mean_clean(value, observed, given), key=key)

    def _joint(
        self, value: Float[Array, "*item"], given: Any
    ) -> tuple[Float[Array, "*item"], Float[Array, "*item"]]:
        """P(y, x = 0|z) and P(y, x = 1|z)."""
        one, zero = map(jnp.exp, ones_and_zeros(self.likelihood, self.shape, given))
        is_one = value > 0.5
        return (
            zero * jnp.where(is_one, self.rate, 1 - self.rate),
            one * jnp.where(is_one, 1 - self.rate, self.rate),
        )


class Noised(AbstractDegraded):
    """Numbers with normal noise added to each."""

    likelihood: Any
    """Of independent normal values."""
    shape: tuple[int, ...] = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    """The noise's standard deviation t > 0, in the data's units."""

    @property
    def support(self) -> str:
        """Any number."""
        return REAL

    @property
    def numbers(self) -> int:
        """A few for each value."""
        return 2 * math.prod(self.shape)

    def back(self, value: Float[Array, "*item"]) -> Float[Array, "*item"]:
        """Y as it is."""
        return value

    def log_prob_each(self, value: Float[Array, "*item"], given: Any) -> Float[Array, "*item"]:
        """Log-density of each value in nats."""
        location, scale = self.likelihood.normal_each(given)
        return jax.scipy.stats.norm.logpdf(value, location, jnp.hypot(scale, self._noise(scale)))

    def mean(self, given: Any) -> Float[Array, "*item"]:
        """That of x."""
        return self.likelihood.normal_each(given)[0]

    def mean_clean(
        self, value: Float[Array, "*item"], observed: Bool[Array, "*item"], given: Any
    ) -> Float[Array, "*item"]:
        """A mean of y and of the likelihood's mean, by their precisions."""
        location, scale = self.likelihood.normal_each(given)
        return self._moved(location, location, scale, value, observed)

    def sample_clean(
        self,
        value: Float[Array, "*item"],
        observed: Bool[Array, "*item"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*item"]:
        """A draw of (x, y), moved by what its y has wrong."""
        location, scale = self.likelihood.normal_each(given)
        own, noise = jax.random.normal(key, (2, *location.shape), location.dtype)
        x = location + scale * own
        return self._moved(x, x + self.scale * noise, scale, value, observed)

    def _moved(self, x: Any, y: Any, scale: Any, value: Any, observed: Any) -> Any:
        gain = (scale / jnp.hypot(scale, self._noise(scale))) ** 2
        return x + jnp.where(observed, gain * (value - y), 0.0)

    def _noise(self, scale: Float[Array, "*item"]) -> Float[Array, "*item"]:
        return jnp.full_like(scale, self.scale)


def ones_and_zeros(
    likelihood: Any, shape: tuple[int, ...], given: Any
) -> tuple[Float[Array, "*item"], Float[Array, "*item"]]:
    """Log-probabilities of a one and of a zero in each pixel, in nats."""
    each = likelihood.log_prob_each
    return each(jnp.ones(shape), given), each(jnp.zeros(shape), given)
