"""What a conditional distribution can do: be simulated, and, if explicit, be evaluated."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray


class AbstractConditional(eqx.Module):
    """A distribution of one value given one value; `given` is `None` where there is none."""

    @abc.abstractmethod
    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, differentiable in the parameters where the family allows it."""


class AbstractExplicit(AbstractConditional):
    """A conditional with a density (or a mass), in nats."""

    @property
    @abc.abstractmethod
    def support(self) -> str:
        """Where values must lie.

        "binary", "unit" (the closed unit interval), "positive", "real" or "simplex"; of several
        layers, all that occur.
        """

    @property
    def reparameterized(self) -> bool:
        """A draw is a differentiable function of the parameters; false for discrete families."""
        return True

    @property
    def fixed_support(self) -> bool:
        """The support is the same for all parameters, so that the mean of d log q is zero."""
        return True

    @abc.abstractmethod
    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density of one value, in nats."""

    def sample_and_log_prob(self, given: Any, *, key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        """One draw and its log-density; a family whose network both need evaluates it once."""
        value = self.sample(given, key=key)
        return value, self.log_prob(value, given)

    @abc.abstractmethod
    def mean(self, given: Any) -> Any:
        """Expected value given one value (for layers above the first: along the chain of means)."""
