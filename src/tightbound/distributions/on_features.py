"""A conditional that is given features of a datum, as one of the datum itself."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import read


class OnFeatures(AbstractExplicit):
    """q(z|x) = q(z|h) with h = trunk(x), which is computed once for a draw and its density."""

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    conditional: AbstractExplicit

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.conditional.support

    @property
    def reparameterized(self) -> bool:
        """Whether its draw is differentiable."""
        return self.conditional.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether its support stays where it is."""
        return self.conditional.fixed_support

    def sample(self, given: One, *, key: PRNGKeyArray) -> Any:
        """One draw."""
        return self.conditional.sample(read(self.trunk, given), key=key)

    def log_prob(self, value: Any, given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        return self.conditional.log_prob(value, read(self.trunk, given))

    def sample_and_log_prob(self, given: One, *, key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        """One draw and its log-density in nats."""
        return self.conditional.sample_and_log_prob(read(self.trunk, given), key=key)

    def mean(self, given: One) -> Any:
        """Expected value, or what the conditional has in its place."""
        return self.conditional.mean(read(self.trunk, given))
