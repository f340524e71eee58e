"""Safer proposals for importance sampling: mixed with the prior, or wider than the posterior.

Reference: Hesterberg 1995, Technometrics 37(2) (defensive mixtures: weights stay bounded by
1 / share of what the prior alone would give).
Bias: none in the mean weight, whatever the proposal; a wider one has more variance where q was good
and far less where q was too narrow.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.distributions import AbstractExplicit
from tightbound.distributions.contracts import prior_given


class Defensive(AbstractExplicit):
    """(1 - share) q(z|x) + share p(z): see `defensive`."""

    posterior: AbstractExplicit
    prior: AbstractExplicit
    share: float = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.posterior.support

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, of q or of the prior."""
        which_key, prior_key, own_key = streams(
            key, "defensive.which", "defensive.prior", "defensive.own"
        )
        from_prior = jax.random.bernoulli(which_key, self.share)
        return jax.tree.map(
            lambda safe, own: jnp.where(from_prior, safe, own),
            self.prior.sample(prior_given(self.prior, given), key=prior_key),
            self.posterior.sample(given, key=own_key),
        )

    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the mixture, in nats."""
        return jnp.logaddexp(
            jnp.log1p(-self.share) + self.posterior.log_prob(value, given),
            jnp.log(self.share) + self.prior.log_prob(value, prior_given(self.prior, given)),
        )

    def mean(self, given: Any) -> Any:
        """The mean of the mixture."""
        return jax.tree.map(
            lambda safe, own: self.share * safe + (1 - self.share) * own,
            self.prior.mean(prior_given(self.prior, given)),
            self.posterior.mean(given),
        )


class Tempered(AbstractExplicit):
    """q(z|x) stretched about its mean by sqrt(temperature): see `tempered`."""

    posterior: AbstractExplicit
    temperature: float = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.posterior.support

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw."""
        drawn = self.posterior.sample(given, key=key)
        return self._stretched(drawn, given, self.temperature**0.5)

    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density in nats."""
        back = self._stretched(value, given, self.temperature**-0.5)
        dim = sum(leaf.size for leaf in jax.tree.leaves(value))
        return self.posterior.log_prob(back, given) - dim / 2 * jnp.log(self.temperature)

    def mean(self, given: Any) -> Any:
        """The mean, which stays."""
        return self.posterior.mean(given)

    def _stretched(self, value: Any, given: Any, factor: float) -> Any:
        return jax.tree.map(
            lambda centre, z: centre + factor * (z - centre), self.posterior.mean(given), value
        )


def defensive(
    posterior: AbstractExplicit, prior: AbstractExplicit, *, share: float = 0.1
) -> Defensive:
    """Mixes a share of prior draws into q(z|x), so that no weight exceeds p(x|z) / share.

    Args:
        posterior: q(z|x).
        prior: p(z), such as `model.prior`.
        share: Share of the prior, between 0 and 1.

    Raises:
        UsageError: A share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UsageError(f"expected a share between 0 and 1, got {share}")
    return Defensive(posterior, prior, float(share))


def tempered(posterior: AbstractExplicit, *, temperature: float = 2.0) -> Tempered:
    """Widens q(z|x) about its mean: for a normal q this is q^(1 / temperature), normalised.

    Args:
        posterior: q(z|x) on all real numbers; of several layers, all are stretched about the chain
            of means.
        temperature: Factor of the variances, above 0; above 1 wider.

    Raises:
        UsageError: A temperature that is not above 0, or a posterior on other values.
    """
    if not temperature > 0:
        raise UsageError(f"expected a temperature above 0, got {temperature}")
    if posterior.support != "real":
        raise UsageError(
            "only a posterior on all real numbers can be stretched, got "
            f"{type(posterior).__name__} with {posterior.support} values"
        )
    return Tempered(posterior, float(temperature))
