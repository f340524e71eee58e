"""A density in place of a posterior that has none, so that every estimator can use it.

Nothing is approximated by this in an evidence estimate: any density on the same space is a valid
proposal, or start of annealing, and a bad one shows in the diagnostics.

Reference: Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722 (annealing from a normal with the
moments of an implicit q); Yin & Zhou 2018, arXiv 1805.11183 (the mixture of a semi-implicit q).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import as_key, first_keys, stream, streams
from tightbound.distributions import AbstractConditional, AbstractExplicit, AbstractSemiImplicit
from tightbound.distributions.components import fresh_noise, log_components, log_mean_exp
from tightbound.distributions.triangular import HIGHEST, cholesky, inverse
from tightbound.models import Bayesian, Model
from tightbound.models.shapes import like_z

COMPONENTS = 100
"""Components of the mixture that stands for a semi-implicit posterior."""
DRAWS = 200
"""Draws behind the moments of an implicit posterior, and twice as many as z has dimensions."""
LEAST = 1e-6
"""Least variance in any direction, as a share of the mean one."""


class ComponentMixture(AbstractExplicit):
    """A semi-implicit h(z|x) with its noise drawn once for each x: a finite mixture.

    Importance weights against it have the mean p(x) whatever the noise. Its ELBO is, over the
    noise, SIVI's lower bound with K = `components` - 1.
    """

    posterior: AbstractSemiImplicit
    components: int
    key: PRNGKeyArray

    @property
    def support(self) -> str:
        """Where values must lie: where those of the posterior do."""
        return self.posterior.support

    def noise(self, given: Any) -> Any:
        """The noise of all components."""
        return fresh_noise(self.posterior, given, self.key, self.components)

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of one component."""
        which_key, key = streams(key, "stand_in.which", "stand_in.z")
        which = jax.random.randint(which_key, (), 0, self.components)
        mixing = jax.tree.map(lambda all: all[which], self.noise(given))
        return self.posterior.sample_given(mixing, given, key=key)

    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the mixture in nats."""
        return log_mean_exp(log_components(self.posterior, value, self.noise(given), given))

    def mean(self, given: Any) -> Any:
        """Mean of as many draws as there are components."""
        keys = first_keys(stream(self.key, "stand_in.mean"), self.components)
        draws = jax.vmap(lambda key: self.sample(given, key=key))(keys)
        return jnp.mean(draws, axis=0)


class MomentMatched(AbstractExplicit):
    """The normal distribution with the mean and covariance of draws of q(z|x)."""

    posterior: AbstractConditional
    draws: int
    key: PRNGKeyArray

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def moments(self, given: Any) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
        """The mean, and the Cholesky factor of the covariance."""
        keys = first_keys(self.key, self.draws)
        z = jax.vmap(lambda key: self.posterior.sample(given, key=key))(keys)
        mean = jnp.mean(z, axis=0)
        centred = z - mean[None]
        covariance = centred.T @ centred / (self.draws - 1)
        least = LEAST * jnp.trace(covariance) / mean.shape[0] + jnp.finfo(z.dtype).tiny
        return mean, cholesky(covariance + least * jnp.eye(mean.shape[0]))

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw."""
        mean, factor = self.moments(given)
        return mean + factor @ jax.random.normal(key, mean.shape, mean.dtype)

    def log_prob(self, value: Float[Array, " d"], given: Any) -> Float[Array, ""]:
        """Log-density in nats."""
        mean, factor = self.moments(given)
        u = jnp.matmul(inverse(factor), value - mean, precision=HIGHEST)
        log_volume = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return jnp.sum(jax.scipy.stats.norm.logpdf(u)) - log_volume

    def mean(self, given: Any) -> Float[Array, " d"]:
        """The mean of the draws."""
        return self.moments(given)[0]


def with_density(posterior: Any, model: Model | Bayesian, key: Any, what: str) -> AbstractExplicit:
    """The posterior itself, or a density that stands for it as a proposal.

    Args:
        posterior: Of any kind.
        model: p(x, z), for the size of z.
        key: From which the noise is drawn, or the draws behind the moments.
        what: Who asks, for the error.

    Raises:
        UsageError: There is no posterior at all.
    """
    if isinstance(posterior, AbstractExplicit):
        return posterior
    own_key = stream(as_key(key), "stand_in")
    if isinstance(posterior, AbstractSemiImplicit):
        return ComponentMixture(posterior, COMPONENTS, own_key)
    if isinstance(posterior, AbstractConditional):
        size = sum(leaf.size for leaf in jax.tree.leaves(like_z(model)))
        return MomentMatched(posterior, max(DRAWS, 2 * size), own_key)
    raise UsageError(
        f"{what} needs log q(z|x), or draws of q(z|x) at least: expected a posterior, "
        f"got {type(posterior).__name__}"
    )


def in_words(posterior: Any) -> str:
    """What stands for a posterior without a density, in words; empty for one that has one."""
    if isinstance(posterior, ComponentMixture):
        return f"the mixture of {posterior.components} draws of the semi-implicit q(z|x)"
    if isinstance(posterior, MomentMatched):
        return f"the normal with the moments of {posterior.draws} draws of the implicit q(z|x)"
    return ""
