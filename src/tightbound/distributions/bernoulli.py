"""Bernoulli conditionals with network logits, and the Bernoulli prior.

Kingma & Welling 2013, arXiv 1312.6114, appendix C eq. 11, written in the logits. NumPyro's
density gives infinities outside {0, 1}, at a cost and against strict promotion; here values are
checked once, where data enter.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.core.supports import BINARY
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import Head, read


class Bernoulli(AbstractExplicit):
    """Independent pixels in {0, 1} with logits `head(trunk(given))`."""

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    logits: Head

    @property
    def support(self) -> str:
        """Where values must lie."""
        return BINARY

    @property
    def reparameterized(self) -> bool:
        """Draws are discrete."""
        return False

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw as floats in {0, 1}; not differentiable in the parameters."""
        return draw(self.mean(given), key=key)

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-mass in nats; `value` must be binary, which is checked where data enter."""
        return log_mass(value, self.logits(read(self.trunk, given)))

    def log_prob_each(self, value: Float[Array, " dim"], given: One) -> Float[Array, " dim"]:
        """Log-mass of each pixel in nats."""
        return log_mass_each(value, self.logits(read(self.trunk, given)))

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The probabilities of a one."""
        return jax.nn.sigmoid(self.logits(read(self.trunk, given)))


def draw(p: Float[Array, " dim"], *, key: PRNGKeyArray) -> Float[Array, " dim"]:
    """Independent values in {0, 1} as floats, with probabilities p of a one."""
    return jnp.astype(jax.random.uniform(key, p.shape) < p, p.dtype)


def log_mass(value: Float[Array, " dim"], logits: Float[Array, " dim"]) -> Float[Array, ""]:
    """Log-mass of independent values in {0, 1}, in nats."""
    return jnp.sum(log_mass_each(value, logits))


def log_mass_each(
    value: Float[Array, " dim"], logits: Float[Array, " dim"]
) -> Float[Array, " dim"]:
    """Log-mass of each of them, in nats."""
    # softplus by hand: jax.nn.softplus does not fuse, and costs as much as a matrix product.
    # Half the sum, not max(logits, 0): its slope at zero would add up to 0 in place of 1/2.
    size = jnp.abs(logits)
    softplus = 0.5 * (logits + size) + jnp.log1p(jnp.exp(-size))
    return value * logits - softplus
