"""The likelihood of a sequence: one law for all steps, p(x|z) = prod_t p(x_t|z_t)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit


class Stepwise(AbstractExplicit):
    """Items of shape (steps, d) given states of shape (steps, m); steps are independent given z.

    Whatever entries of a step are to each other, they are as for the law of one step.
    """

    step: Any
    """An explicit conditional of x_t of shape (d,) given z_t."""
    steps: int = eqx.field(static=True)

    @property
    def offers(self) -> frozenset[str]:
        """What the law of one step does, and that law."""
        return self.step.offers | {"steps"}

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.step.support

    @property
    def reparameterized(self) -> bool:
        """Whether a step's draw is differentiable."""
        return self.step.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether a step's support stays where it is."""
        return self.step.fixed_support

    def sample(
        self, given: Float[Array, "steps m"], *, key: PRNGKeyArray
    ) -> Float[Array, "steps d"]:
        """One draw of all steps."""
        keys = first_keys(key, self.steps)
        return jax.vmap(lambda z, key: self.step.sample(z, key=key))(given, keys)

    def log_prob(
        self, value: Float[Array, "steps d"], given: Float[Array, "steps m"]
    ) -> Float[Array, ""]:
        """Log-density in nats."""
        return jnp.sum(jax.vmap(self.step.log_prob)(value, given))

    def log_prob_each(
        self, value: Float[Array, "steps d"], given: Float[Array, "steps m"]
    ) -> Float[Array, "steps d"]:
        """Log-density of each entry in nats, where the law of a step has it."""
        return jax.vmap(self.step.log_prob_each)(value, given)

    def log_prob_observed(
        self,
        value: Float[Array, "steps d"],
        observed: Bool[Array, "steps d"],
        given: Float[Array, "steps m"],
    ) -> Float[Array, ""]:
        """Log-density of the observed entries in nats."""
        return jnp.sum(self.log_prob_steps(value, observed, given))

    def log_prob_steps(
        self,
        value: Float[Array, "steps d"],
        observed: Bool[Array, "steps d"],
        given: Float[Array, "steps m"],
    ) -> Float[Array, " steps"]:
        """Log-density of the observed entries of each step in nats; 0 where there is none."""
        return jax.vmap(self.step.log_prob_observed)(value, observed, given)

    def sample_missing(
        self,
        value: Float[Array, "steps d"],
        observed: Bool[Array, "steps d"],
        given: Float[Array, "steps m"],
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "steps d"]:
        """One draw of the other entries given the observed ones and the states."""

        def one(value: Any, observed: Any, z: Any, key: PRNGKeyArray) -> Float[Array, " d"]:
            return self.step.sample_missing(value, observed, z, key=key)

        return jax.vmap(one)(value, observed, given, first_keys(key, self.steps))

    def mean_missing(
        self,
        value: Float[Array, "steps d"],
        observed: Bool[Array, "steps d"],
        given: Float[Array, "steps m"],
    ) -> Float[Array, "steps d"]:
        """What is expected of the other entries given the observed ones and the states.

        Raises:
            UsageError: The law of a step has levels, whose numbers have no mean.
        """
        if self.step.level_probs(given[0]):
            raise UsageError(
                "nothing is expected of levels, whose numbers are no amounts: expected a law of "
                f"numbers for each step, got {type(self.step).__name__} with levels"
            )
        return jax.vmap(self.step.mean_missing)(value, observed, given)

    def mean(self, given: Float[Array, "steps m"]) -> Float[Array, "steps d"]:
        """Expected value of all steps."""
        return jax.vmap(self.step.mean)(given)
