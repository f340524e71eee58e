"""What conditionals of several stochastic layers share: each layer has one of its own."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.distributions.contracts import AbstractExplicit


class AbstractLayers(AbstractExplicit):
    """A value is a tuple of layers, the bottom layer first."""

    conditionals: tuple[AbstractExplicit, ...]

    @property
    def support(self) -> str:
        """Where values must lie."""
        return ", ".join(dict.fromkeys(conditional.support for conditional in self.conditionals))

    @property
    def reparameterized(self) -> bool:
        """Every layer's draw is differentiable."""
        return all(conditional.reparameterized for conditional in self.conditionals)

    @property
    def fixed_support(self) -> bool:
        """No layer's support moves with its parameters."""
        return all(conditional.fixed_support for conditional in self.conditionals)

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> tuple[Float[Array, "..."], ...]:
        """One draw of all layers, bottom layer first."""
        return self.sample_and_log_prob(given, key=key)[0]
