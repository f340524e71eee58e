"""Independent Poisson counts; for a test that adds a likelihood."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.core.supports import Support
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.likelihoods.registry import Likelihood
from tightbound.networks import Body, Head

COUNTS = Support(
    "counts", "a whole number >= 0", lambda x: (x >= 0) & (x == np.floor(x)), discrete=True
)


class Poisson(AbstractExplicit):
    """Counts with rates exp(head(trunk(given)))."""

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    log_rate: Head

    @property
    def support(self) -> str:
        """Counts."""
        return COUNTS

    @property
    def reparameterized(self) -> bool:
        """Draws are discrete."""
        return False

    def sample(self, given: Float[Array, " n_in"], *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw as floats."""
        return jnp.astype(jax.random.poisson(key, self.mean(given)), jnp.float32)

    def log_prob(
        self, value: Float[Array, " dim"], given: Float[Array, " n_in"]
    ) -> Float[Array, ""]:
        """Log-mass in nats."""
        return jnp.sum(self.log_prob_each(value, given))

    def log_prob_each(
        self, value: Float[Array, " dim"], given: Float[Array, " n_in"]
    ) -> Float[Array, " dim"]:
        """Log-mass of each count in nats."""
        log_rate = self.log_rate(self.trunk(given))
        return value * log_rate - jnp.exp(log_rate) - jax.lax.lgamma(value + 1.0)

    def mean(self, given: Float[Array, " n_in"]) -> Float[Array, " dim"]:
        """The rates."""
        return jnp.exp(self.log_rate(self.trunk(given)))


def _of(body: Body, train: Float[np.ndarray, "n d"], key: PRNGKeyArray) -> Poisson:
    trunk_key, head_key = streams(key, "poisson.trunk", "poisson.head")
    trunk, (log_rate,) = body.build({"the log-rate": train.shape[1]}, trunk_key, [head_key])
    return Poisson(trunk, log_rate)


LIKELIHOODS = {"poisson": Likelihood("counts", _of)}
