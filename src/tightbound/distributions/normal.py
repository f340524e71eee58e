"""Normal conditionals: the standard prior, and diagonal normals whose parameters a network gives.

Kingma & Welling 2013, arXiv 1312.6114, eq. 9 and appendix C eq. 12.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.core.streams import streams
from tightbound.core.supports import REAL, UNIT
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import Body, Head, read


class StandardNormal(AbstractExplicit):
    """N(0, I) in `dim` dimensions, without parameters."""

    dim: int = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return REAL

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw."""
        del given
        return jax.random.normal(key, (self.dim,))

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        del given
        return jnp.asarray(self.distribution().log_prob(value))

    def log_prob_each(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, " dim"]:
        """Log-density of each entry in nats."""
        del given
        standard = dist.Normal(jnp.zeros(self.dim), jnp.ones(self.dim))
        return jnp.asarray(standard.log_prob(value))

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The zero vector."""
        del given
        return jnp.zeros(self.dim)

    def distribution(self, given: Any = None) -> dist.Distribution:
        """The NumPyro distribution itself."""
        del given
        return dist.Normal(jnp.zeros(self.dim), jnp.ones(self.dim)).to_event(1)


class DiagonalNormal(AbstractExplicit):
    """N(mu(h), diag(sigma(h)^2)) with h = trunk(given), linear heads, and sigma = exp(head).

    With `unit_mean` the mean passes through a sigmoid and stays in (0, 1), as for AEVB's Frey
    faces. The exponential gives the standard deviation, as in the code of Burda et al. (2015);
    their text has the variance. The function class is the same.
    """

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    location: Head
    log_scale: Head
    unit_mean: bool = eqx.field(static=True, default=False)

    @staticmethod
    def of(
        body: Body, size: int, *, unit_mean: bool = False, key: PRNGKeyArray
    ) -> "DiagonalNormal":
        """A conditional of `size` units on a network; dense heads start by Glorot's rule."""
        trunk_key, *keys = streams(
            key, "autoencoder.trunk", "autoencoder.location", "autoencoder.scale"
        )
        sizes = {"the mean": size, "the log-scale": size}
        trunk, (location, log_scale) = body.build(sizes, trunk_key, keys)
        return DiagonalNormal(trunk, location, log_scale, unit_mean)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return UNIT if self.unit_mean else REAL

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One reparameterised draw mu + sigma * epsilon."""
        return self.sample_and_log_prob(given, key=key)[0]

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        return jnp.asarray(self.distribution(given).log_prob(value))

    def log_prob_each(self, value: Float[Array, " dim"], given: One) -> Float[Array, " dim"]:
        """Log-density of each entry in nats."""
        return jnp.asarray(dist.Normal(*self.parameters(given)).log_prob(value))

    def push(
        self, noise: Float[Array, " dim"], given: One
    ) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """Mu + sigma * noise, which are draws."""
        location, scale = self.parameters(given)
        return location + scale * noise, jnp.zeros_like(location)

    def sample_and_log_prob(
        self, given: One, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One reparameterised draw and its log-density in nats."""
        location, scale = self.parameters(given)
        value = location + scale * jax.random.normal(key, location.shape)
        return value, jnp.asarray(_normal(location, scale).log_prob(value))

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The mean mu(h)."""
        return self.parameters(given)[0]

    def parameters(self, given: One) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """Mean and standard deviation given one value."""
        h = read(self.trunk, given)
        location = self.location(h)
        if self.unit_mean:
            location = jax.nn.sigmoid(location)
        return location, jnp.exp(self.log_scale(h))

    def normal_each(self, given: One) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """As `parameters`."""
        return self.parameters(given)

    def distribution(self, given: One) -> dist.Distribution:
        """The NumPyro distribution given one value."""
        return _normal(*self.parameters(given))


def _normal(location: Float[Array, " dim"], scale: Float[Array, " dim"]) -> dist.Distribution:
    return dist.Normal(location, scale).to_event(1)
