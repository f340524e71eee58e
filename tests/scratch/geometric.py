"""Independent geometric counts; for a test that adds a likelihood."""

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


class Geometric(AbstractExplicit):
    """Numbers of failures before a success, with means exp(head(trunk(given)))."""

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    log_mean: Head

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
        mean = self.mean(given)
        # The number of whole periods of an exponential waiting time.
        return jnp.floor(jax.random.exponential(key, mean.shape) / jnp.log1p(1.0 / mean))

    def log_prob(
        self, value: Float[Array, " dim"], given: Float[Array, " n_in"]
    ) -> Float[Array, ""]:
        """Log-mass in nats."""
        return jnp.sum(self.log_prob_each(value, given))

    def log_prob_each(
        self, value: Float[Array, " dim"], given: Float[Array, " n_in"]
    ) -> Float[Array, " dim"]:
        """Log-mass of each count in nats."""
        log_mean = self.log_mean(self.trunk(given))
        return value * log_mean - (value + 1.0) * jnp.log1p(jnp.exp(log_mean))

    def mean(self, given: Float[Array, " n_in"]) -> Float[Array, " dim"]:
        """The means."""
        return jnp.exp(self.log_mean(self.trunk(given)))


def _of(body: Body, train: Float[np.ndarray, "n d"], key: PRNGKeyArray) -> Geometric:
    trunk_key, head_key = streams(key, "geometric.trunk", "geometric.head")
    trunk, (log_mean,) = body.build({"the log-mean": train.shape[1]}, trunk_key, [head_key])
    return Geometric(trunk, log_mean)


LIKELIHOODS = {"geometric": Likelihood("counts", _of)}
