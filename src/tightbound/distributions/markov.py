"""Priors of state-space models: p(z_1) prod_t p(z_t|z_{t-1}).

Krishnan, Shalit & Sontag 2017, arXiv 1609.09869, eq. 1.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.steps import AbstractSteps, live


class Markov(AbstractSteps):
    """A chain of states of shape (steps, m): an `initial` law, and a `transition` given the last.

    As a prior it is given the datum, for the end of its sequence: behind it states are N(0, I), as
    under q (see `distributions.steps`). Given nothing, it is the chain itself at all steps.
    """

    initial: AbstractExplicit
    """Of the first state; it is given nothing."""
    transition: AbstractExplicit
    """Of a state given the one before."""
    steps: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuses states that are not on all real numbers."""
        for part in (self.initial, self.transition):
            if part.support != "real":
                raise UsageError(
                    "expected states on all real numbers, got "
                    f"{type(part).__name__} with {part.support} values"
                )

    @property
    def sees_data(self) -> bool:
        """It is given the datum."""
        return True

    @property
    def reparameterized(self) -> bool:
        """Whether both laws' draws are differentiable."""
        return self.initial.reparameterized and self.transition.reparameterized

    @property
    def start(self) -> Float[Array, " m"]:
        """Zeros, which the initial law does not look at."""
        return jnp.zeros_like(self.initial.mean(None))

    def contexts(self, given: Any) -> Bool[Array, " steps"]:
        """Which step is the first."""
        del given
        return jnp.arange(self.steps) == 0

    def sample_step(
        self, before: Float[Array, " m"], context: Bool[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " m"], Float[Array, ""]]:
        """One draw of a step and its log-density in nats."""
        first = self.initial.sample_and_log_prob(None, key=key)
        later = self.transition.sample_and_log_prob(before, key=key)
        return jax.tree.map(lambda a, b: jnp.where(context, a, b), first, later)

    def log_prob_step(
        self, value: Float[Array, " m"], before: Float[Array, " m"], context: Bool[Array, ""]
    ) -> Float[Array, ""]:
        """Log-density of a step in nats."""
        first = self.initial.log_prob(value, None)
        return jnp.where(context, first, self.transition.log_prob(value, before))

    def mean_step(self, before: Float[Array, " m"], context: Bool[Array, ""]) -> Float[Array, " m"]:
        """Mean of a step."""
        return jnp.where(context, self.initial.mean(None), self.transition.mean(before))

    def whole(
        self, z: Float[Array, "steps m"], given: Any, key: PRNGKeyArray
    ) -> Float[Array, "steps m"]:
        """A path given a datum, with steps of the chain itself behind the datum's last.

        If z is a draw given what is known, so is the whole: what will come behind the end.
        """
        alive = live(given)
        if alive is None:
            return z

        def step(before: Float[Array, " m"], given: tuple) -> tuple:
            z, alive, first, key = given
            drawn, _ = self.sample_step(before, first, key=key)
            z = jnp.where(alive, z, drawn)
            return z, z

        steps = z, alive, self.contexts(given), first_keys(key, self.steps)
        return jax.lax.scan(step, self.start, steps)[1]


def whole(prior: Any, x: Any, z: Any, key: PRNGKeyArray) -> Any:
    """A z given a datum as one of the model at all steps; of other models than chains z itself."""
    return prior.whole(z, x, key) if isinstance(prior, Markov) else z
