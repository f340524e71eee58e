"""Means of the squares of an image, and the image given these, under normal likelihoods.

Pixels x_i ~ N(m_i, s_i^2) of a square of n have the mean y ~ N(mean m, sum s^2 / n^2). Given y
each moves by s_i^2 / mean(s^2) times what y is off: draws too, which then have the mean y exactly
(Doucet 2010, A Note on Efficient Conditional Simulation of Gaussian Distributions).
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.supports import REAL
from tightbound.distributions.restoration import BlockMeans
from tightbound.likelihoods.degraded import AbstractDegraded


class NormalBlockMeans(AbstractDegraded):
    """The means of squares of pixels that are independent normals."""

    likelihood: Any
    """Of independent normal values."""
    degrade: BlockMeans
    shape: tuple[int, ...] = eqx.field(static=True)
    """That of x, which may be flat."""

    @property
    def support(self) -> str:
        """Any number."""
        return REAL

    @property
    def numbers(self) -> int:
        """A few for each pixel."""
        return 2 * math.prod(self.shape)

    def back(self, value: Float[Array, " n"]) -> Float[Array, "*item"]:
        """Each mean at all pixels of its square."""
        return self.degrade.back(value).reshape(self.shape)

    def log_prob_each(self, value: Float[Array, " n"], given: Any) -> Float[Array, " n"]:
        """Log-density of each mean in nats."""
        location, scale = self._flat(given)
        of_mean = jnp.sqrt(self.degrade(scale**2)) / self.degrade.factor
        return jax.scipy.stats.norm.logpdf(value, self.degrade(location), of_mean)

    def mean(self, given: Any) -> Float[Array, " n"]:
        """The means of the pixels' means."""
        return self.degrade(self._flat(given)[0])

    def mean_clean(
        self, value: Float[Array, " n"], observed: Bool[Array, " n"], given: Any
    ) -> Float[Array, "*item"]:
        """The pixels' means, moved so that the means of squares are y."""
        location, scale = self._flat(given)
        return self._moved(location, scale, value, observed)

    def sample_clean(
        self,
        value: Float[Array, " n"],
        observed: Bool[Array, " n"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*item"]:
        """Draws of the pixels, moved in the same way."""
        location, scale = self._flat(given)
        x = location + scale * jax.random.normal(key, location.shape, location.dtype)
        return self._moved(x, scale, value, observed)

    def _moved(self, x: Any, scale: Any, value: Any, observed: Any) -> Float[Array, "*item"]:
        gain = scale**2 / self.degrade.back(self.degrade(scale**2))
        off = jnp.where(observed, value - self.degrade(x), 0.0)
        return (x + gain * self.degrade.back(off)).reshape(self.shape)

    def _flat(self, given: Any) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        location, scale = self.likelihood.normal_each(given)
        return jnp.ravel(location), jnp.ravel(scale)
