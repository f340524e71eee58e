"""Priors and conditionals of any family of the catalogue.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import One
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.families import by_name
from tightbound.networks import Head, read


class Conditional(AbstractExplicit):
    """A family whose parameters are dense heads of trunk(given), mapped into their constraints.

    `heads` stand in the order of the family's parameters. A head of zero gives the standard
    member.
    """

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    heads: tuple[Head, ...]
    family: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuses an unknown family, and heads that are not one for each parameter."""
        expected = [parameter.name for parameter in by_name(self.family).parameters]
        if len(self.heads) != len(expected):
            raise UsageError(
                f"expected a head for each parameter of {self.family} ({', '.join(expected)}), "
                f"got {len(self.heads)}"
            )

    @property
    def support(self) -> str:
        """Where values must lie."""
        return by_name(self.family).support

    @property
    def fixed_support(self) -> bool:
        """Whether the support is the same for all parameters."""
        return by_name(self.family).fixed_support

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw, differentiable in the parameters."""
        return by_name(self.family).draw(key, *self.parameters(given))

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        return jnp.sum(by_name(self.family).log_density(value, *self.parameters(given)))

    def log_prob_each(self, value: Float[Array, " dim"], given: One) -> Float[Array, " dim"]:
        """Log-density of each entry in nats."""
        return by_name(self.family).log_density(value, *self.parameters(given))

    def sample_and_log_prob(
        self, given: One, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One draw, differentiable in the parameters, and its log-density in nats."""
        family, parameters = by_name(self.family), self.parameters(given)
        value = family.draw(key, *parameters)
        return value, jnp.sum(family.log_density(value, *parameters))

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The mean, or what the family has in its place where that need not exist."""
        return by_name(self.family).centre(*self.parameters(given))

    def parameters(self, given: One) -> tuple[Float[Array, "..."], ...]:
        """The family's parameters given one value."""
        h = read(self.trunk, given)
        return by_name(self.family).values(tuple(head(h) for head in self.heads))


class FamilyPrior(AbstractExplicit):
    """A family as a prior in `dim` dimensions: its standard member, or one that is learned.

    `free` holds a free number per unit for each parameter (`Parameter.value` maps them); without
    it the prior is the standard member and has no parameters.
    """

    dim: int = eqx.field(static=True)
    family: str = eqx.field(static=True)
    free: tuple[Float[Array, " _size"], ...] | None = None

    def __check_init__(self) -> None:
        """Refuses an unknown family, and a learned prior whose support would move."""
        family = by_name(self.family)
        if self.free is not None and not family.fixed_support:
            raise UsageError(
                f"a prior of the family {self.family} cannot be learned: its support "
                f"{family.interval} would move away from the posterior's draws"
            )

    @staticmethod
    def learned(dim: int, family: str) -> "FamilyPrior":
        """A prior with parameters of its own, which start at the standard member."""
        free = tuple(jnp.zeros(size) for size in by_name(family).sizes(dim))
        return FamilyPrior(dim, family, free)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return by_name(self.family).prior_support

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw."""
        return by_name(self.family).draw(key, *self.parameters(given))

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        return jnp.sum(self.log_prob_each(value, given))

    def log_prob_each(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, "..."]:
        """Log-density of each entry in nats; of all together where they depend on each other."""
        return by_name(self.family).log_density(value, *self.parameters(given))

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The mean, or what the family has in its place where that need not exist."""
        return by_name(self.family).centre(*self.parameters(given))

    def parameters(self, given: Any = None) -> tuple[Float[Array, "..."], ...]:
        """The family's parameters."""
        del given
        family = by_name(self.family)
        free = self.free
        if free is None:
            free = tuple(jnp.zeros(size) for size in family.sizes(self.dim))
        return family.values(free)
