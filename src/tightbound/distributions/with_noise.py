"""Independent standard normal noise beside z, as a latent of its own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.normal import StandardNormal


class WithNoise(AbstractExplicit):
    """(z, noise) with z of `inner` and noise of N(0, I), independent of z and of what is given.

    The value is a tuple whose last entry is the noise: (z, noise), or of several layers
    (h_1, ..., h_L, noise).
    """

    inner: AbstractExplicit
    dim: int = eqx.field(static=True)
    """Numbers of noise."""
    layered: bool = eqx.field(static=True)
    """Whether z is a tuple of layers."""

    @property
    def support(self) -> str:
        """Where values must lie."""
        return ", ".join(dict.fromkeys((self.inner.support, "real")))

    @property
    def reparameterized(self) -> bool:
        """Whether draws of z are differentiable; those of the noise are."""
        return self.inner.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether the support of z stays where it is."""
        return self.inner.fixed_support

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> tuple[Float[Array, "..."], ...]:
        """One draw of both."""
        z_key, noise = self._noise(key)
        return self._beside(self.inner.sample(given, key=z_key), noise)

    def log_prob(
        self, value: tuple[Float[Array, "..."], ...], given: Any = None
    ) -> Float[Array, ""]:
        """Log-density of both in nats."""
        z, noise = parted(value, layered=self.layered)
        return self.inner.log_prob(z, given) + StandardNormal(self.dim).log_prob(noise)

    def sample_and_log_prob(
        self, given: Any = None, *, key: PRNGKeyArray
    ) -> tuple[tuple[Float[Array, "..."], ...], Float[Array, ""]]:
        """One draw of both and its log-density in nats."""
        z_key, noise = self._noise(key)
        z, log_prob = self.inner.sample_and_log_prob(given, key=z_key)
        return self._beside(z, noise), log_prob + StandardNormal(self.dim).log_prob(noise)

    def mean(self, given: Any = None) -> tuple[Float[Array, "..."], ...]:
        """The mean of z, and zeros."""
        return self._beside(self.inner.mean(given), jnp.zeros(self.dim))

    def _noise(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, Float[Array, " dim"]]:
        """A key for z, and a draw of the noise."""
        z_key, noise_key = streams(key, "with_noise.z", "with_noise.noise")
        return z_key, jax.random.normal(noise_key, (self.dim,))

    def _beside(self, z: Any, noise: Float[Array, " dim"]) -> tuple[Float[Array, "..."], ...]:
        return (*z, noise) if self.layered else (z, noise)


def parted(
    value: tuple[Float[Array, "..."], ...], *, layered: bool
) -> tuple[Any, Float[Array, " dim"]]:
    """Z, as the model without noise has it, and the noise."""
    return (value[:-1] if layered else value[0]), value[-1]
