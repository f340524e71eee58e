"""Priors of variational recurrent networks: prod_t p(z_t|x_{<t}, z_{<t}), by a memory of both.

Chung et al. 2015, arXiv 1506.02216, eq. 5.
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.memory import Memory
from tightbound.distributions.steps import AbstractSteps


class RecurrentPrior(AbstractSteps):
    """A `law` of each state given the memory of all values and states before it.

    As a prior it is given the datum: a density of whole paths for the values of x, of which each
    step sees those before it alone. A missing value tells a memory nothing but that it is missing.
    Given nothing, no value at all is known. Behind the end of a sequence states are N(0, I).
    """

    steps: int = eqx.field(static=True)
    memory: Memory
    law: AbstractExplicit
    """Of a state given the memory before it."""

    def __check_init__(self) -> None:
        """Refuses states that are not on all real numbers."""
        if self.law.support != "real":
            raise UsageError(
                "expected states on all real numbers, got "
                f"{type(self.law).__name__} with {self.law.support} values"
            )

    @property
    def sees_data(self) -> bool:
        """It is given the datum."""
        return True

    @property
    def reparameterized(self) -> bool:
        """Whether the law's draws are differentiable."""
        return self.law.reparameterized

    @property
    def start(self) -> Float[Array, " h"]:
        """The memory before the first step."""
        return self.memory.start

    def contexts(self, given: Any) -> Float[Array, "steps three_h"]:
        """What the memory is given of the values of each step."""
        return self.memory.contexts(given, self.steps)

    def sample_step(
        self, before: Float[Array, " h"], context: Float[Array, " three_h"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " m"], Float[Array, ""]]:
        """One draw of a step and its log-density in nats."""
        del context
        return self.law.sample_and_log_prob(before, key=key)

    def log_prob_step(
        self, value: Float[Array, " m"], before: Float[Array, " h"], context: Any
    ) -> Float[Array, ""]:
        """Log-density of a step in nats."""
        del context
        return self.law.log_prob(value, before)

    def mean_step(self, before: Float[Array, " h"], context: Any) -> Float[Array, " m"]:
        """Mean of a step."""
        del context
        return self.law.mean(before)

    def after(
        self, before: Float[Array, " h"], value: Float[Array, " m"], context: Any
    ) -> Float[Array, " h"]:
        """The memory behind a step."""
        return self.memory.after(before, value, context)

    def befores(self, value: Float[Array, "steps m"], contexts: Any) -> Float[Array, "steps h"]:
        """The memory before each step of a path."""
        return self.memory.befores(value, contexts)
