"""Conditionals that are given something made of what they are given: p(value | f(given))."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.distributions.contracts import AbstractExplicit


class AbstractThrough(AbstractExplicit):
    """Another conditional, in all that it says, given `_seen(given)`."""

    conditional: eqx.AbstractVar[AbstractExplicit]

    @abc.abstractmethod
    def _seen(self, given: Any) -> Any:
        """What the conditional is given."""

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.conditional.support

    @property
    def reparameterized(self) -> bool:
        """Whether a draw is differentiable."""
        return self.conditional.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether the support stays where it is."""
        return self.conditional.fixed_support

    @property
    def independent(self) -> bool:
        """Whether entries are known to be independent of each other."""
        return self.conditional.independent

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw."""
        return self.conditional.sample(self._seen(given), key=key)

    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density in nats."""
        return self.conditional.log_prob(value, self._seen(given))

    def log_prob_each(self, value: Any, given: Any) -> Any:
        """Log-density of each entry in nats."""
        return self.conditional.log_prob_each(value, self._seen(given))

    def log_prob_observed(self, value: Any, observed: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the observed entries in nats."""
        return self.conditional.log_prob_observed(value, observed, self._seen(given))

    def sample_missing(self, value: Any, observed: Any, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the entries that are not observed."""
        return self.conditional.sample_missing(value, observed, self._seen(given), key=key)

    def mean_missing(self, value: Any, observed: Any, given: Any) -> Any:
        """What is expected of the entries that are not observed."""
        return self.conditional.mean_missing(value, observed, self._seen(given))

    def normal_each(self, given: Any) -> tuple[Any, Any]:
        """Mean and standard deviation of each entry."""
        return self.conditional.normal_each(self._seen(given))

    def push(self, noise: Any, given: Any) -> tuple[Any, Any]:
        """What normal noise becomes, with its log-weights."""
        return self.conditional.push(noise, self._seen(given))

    def level_probs(self, given: Any) -> dict[int, Any]:
        """The probability of each level, by the number of the entry."""
        return self.conditional.level_probs(self._seen(given))

    def sample_and_log_prob(self, given: Any, *, key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        """One draw and its log-density in nats."""
        return self.conditional.sample_and_log_prob(self._seen(given), key=key)

    def mean(self, given: Any) -> Any:
        """Expected value."""
        return self.conditional.mean(self._seen(given))
