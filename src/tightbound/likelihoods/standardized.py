"""Likelihoods of data in units of their own: a change of variables around that of networks.

With u = (x - shift) / scale, log p(x|z) = log p(u|z) - sum_j log scale_j.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import Standardization


class Standardized(AbstractExplicit):
    """p(x|z) by a likelihood of standardised values; densities, draws and means are those of x."""

    likelihood: Any
    """An explicit conditional of values that may lie anywhere."""
    standardization: Standardization

    def __check_init__(self) -> None:
        """Refuses values that would not lie where the likelihood's must."""
        if self.likelihood.support != "real":
            raise UsageError(
                "expected a likelihood of real numbers to standardise for, got one whose values "
                f"are {self.likelihood.support}"
            )

    @property
    def offers(self) -> frozenset[str]:
        """What the likelihood of standardised values does."""
        return self.likelihood.offers

    @property
    def support(self) -> str:
        """Where values must lie."""
        return "real"

    @property
    def reparameterized(self) -> bool:
        """Whether the likelihood's draw is differentiable."""
        return self.likelihood.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether the likelihood's support stays where it is."""
        return self.likelihood.fixed_support

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw."""
        return self.standardization.inverse(self.likelihood.sample(given, key=key))

    def log_prob(self, value: Float[Array, " dim"], given: Any) -> Float[Array, ""]:
        """Log-density in nats."""
        inner = self.likelihood.log_prob(self.standardization(value), given)
        return inner - jnp.sum(self.standardization.log_scale(value))

    def log_prob_each(self, value: Float[Array, " dim"], given: Any) -> Float[Array, " dim"]:
        """Log-density of each column in nats, where the likelihood has it."""
        inner = self.likelihood.log_prob_each(self.standardization(value), given)
        return inner - self.standardization.log_scale(value)

    def log_prob_observed(
        self, value: Float[Array, " dim"], observed: Bool[Array, " dim"], given: Any
    ) -> Float[Array, ""]:
        """Log-density of the observed columns in nats."""
        u = jnp.where(observed, self.standardization(value), 0.0)
        inner = self.likelihood.log_prob_observed(u, observed, given)
        return inner - jnp.sum(jnp.where(observed, self.standardization.log_scale(value), 0.0))

    def sample_missing(
        self,
        value: Float[Array, " dim"],
        observed: Bool[Array, " dim"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, " dim"]:
        """One draw of the other columns given the observed ones."""
        u = jnp.where(observed, self.standardization(value), 0.0)
        drawn = self.likelihood.sample_missing(u, observed, given, key=key)
        return jnp.where(observed, value, self.standardization.inverse(drawn))

    def mean_missing(
        self, value: Float[Array, " dim"], observed: Bool[Array, " dim"], given: Any
    ) -> Float[Array, " dim"]:
        """What is expected of the other columns given the observed ones."""
        u = jnp.where(observed, self.standardization(value), 0.0)
        mean = self.likelihood.mean_missing(u, observed, given)
        return jnp.where(observed, value, self.standardization.inverse(mean))

    def push(
        self, noise: Float[Array, " dim"], given: Any
    ) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """What normal noise becomes, with its log-weights, which units leave as they are."""
        u, log_ratio = self.likelihood.push(noise, given)
        return self.standardization.inverse(u), log_ratio

    def normal_each(self, given: Any) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """Mean and standard deviation of each column, where columns are independent normals."""
        location, scale = self.likelihood.normal_each(given)
        unit = self.standardization.scale.values.astype(scale.dtype)
        return self.standardization.inverse(location), unit * scale

    def sample_and_log_prob(
        self, given: Any, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One draw and its log-density in nats."""
        inside, log_prob = self.likelihood.sample_and_log_prob(given, key=key)
        value = self.standardization.inverse(inside)
        return value, log_prob - jnp.sum(self.standardization.log_scale(value))

    def mean(self, given: Any) -> Float[Array, " dim"]:
        """Expected value."""
        return self.standardization.inverse(self.likelihood.mean(given))
