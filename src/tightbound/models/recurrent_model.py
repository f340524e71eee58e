"""Variational recurrent networks: every step is given all values and states before it.

p(x, z) = prod_t p(z_t|h_{t-1}) p(x_t|z_t, h_{t-1}) with h_t = f(h_{t-1}, x_t, z_t): Chung, Kastner,
Dinh, Goel, Courville & Bengio 2015, arXiv 1506.02216, eq. 5-8.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One, observed, values
from tightbound.core.streams import first_keys, streams
from tightbound.distributions import RecurrentPrior
from tightbound.distributions.steps import live
from tightbound.likelihoods import Stepwise
from tightbound.models.model import Completed, Model


class RecurrentModel(Model):
    """A `RecurrentPrior`, and a `Stepwise` likelihood of z_t with the memory h_{t-1} behind it.

    The memory is the prior's. Of a step with missing values it is told which, and zeros: x_t that
    is not known is a leaf, which nothing that follows depends on. So log p(x) is that of the known
    values given which are known: of two patterns, one within the other, the first is not the
    marginal of the second. What comes behind the end of a sequence is told nobody, and there the
    model goes on by its own draws.
    """

    def __check_init__(self) -> None:
        """Refuses other parts, and a condition, which a memory has no place for."""
        parts = isinstance(self.prior, RecurrentPrior), isinstance(self.likelihood, Stepwise)
        if not all(parts) or self.condition:
            raise UsageError(
                "expected a RecurrentPrior and a Stepwise likelihood without a condition, got "
                f"{type(self.prior).__name__} and {type(self.likelihood).__name__}, and a "
                f"condition of {self.condition} numbers"
            )

    def given(self, x: One, z: Float[Array, "steps m"]) -> Float[Array, "steps g"]:
        """What the likelihood is given: each state and behind it the memory before its step."""
        before = self.prior.befores(z, self.prior.contexts(x))
        return jax.vmap(self.given_step)(z, before)

    def given_step(self, z: Float[Array, " m"], before: Float[Array, " h"]) -> Float[Array, " g"]:
        """What the likelihood of a step is given: its state, and the memory before it."""
        return jnp.concatenate([z, before])

    def log_joint(self, x: One, z: Float[Array, "steps m"]) -> Float[Array, ""]:
        """Log p(x, z) in nats, by one pass of the memory for both parts."""
        contexts = self.prior.contexts(x)
        before = self.prior.befores(z, contexts)
        log_prior = self.prior.log_prob_from(z, before, contexts, live(x))
        given = jax.vmap(self.given_step)(z, before)
        log_lik = self.likelihood.log_prob_observed(values(x), observed(x), given)
        return jnp.sum(log_prior) + log_lik

    def sample(
        self, key: PRNGKeyArray, condition: Float[Array, " c"] | None = None
    ) -> tuple[Float[Array, "steps d"], Float[Array, "steps m"]]:
        """One draw (x, z) of sequences as long as can be, all of whose values are known."""
        del condition
        x, z, _ = self._drawn(key)
        return x, z

    def sample_observed(
        self,
        key: PRNGKeyArray,
        observed: Bool[Array, "steps d"],
        condition: Float[Array, " c"] | None = None,
    ) -> tuple[Float[Array, "steps d"], Float[Array, "steps m"]]:
        """One draw (x, z) in which the memory knows these values alone."""
        del condition
        x, z, _ = self._drawn(key, observed)
        return x, z

    def sample_mean(self, key: PRNGKeyArray) -> Float[Array, "steps d"]:
        """What is expected of each step of a draw, given its state and the steps before."""
        return self.likelihood.mean(self._drawn(key)[2])

    def whole(self, x: One, z: Float[Array, "steps m"], key: PRNGKeyArray) -> Completed:
        """A path given a datum at all steps, and what the model goes on with behind the end."""
        alive = live(x)
        if alive is None:
            return Completed(z, self.given(x, z))
        memory = self.prior.memory

        def step(before: Float[Array, " h"], at: tuple) -> tuple:
            x, known, z, alive, key = at
            drawn_x, drawn_z = self._step(before, key)
            z = jnp.where(alive, z, drawn_z)
            x, known = jnp.where(alive, x, drawn_x), known | ~alive
            after = memory.after(before, z, memory.context(Datum(x, known)))
            return after, (z, self.given_step(z, before), x, known)

        keys = first_keys(key, self.prior.steps)
        at = values(x), observed(x), z, alive, keys
        z, given, filled, known = jax.lax.scan(step, self.prior.start, at)[1]
        return Completed(z, given, Datum(filled, known))

    def _drawn(
        self, key: PRNGKeyArray, told: Bool[Array, "steps d"] | None = None
    ) -> tuple[Float[Array, "steps d"], Float[Array, "steps m"], Float[Array, "steps g"]]:
        """One draw of x and z, and what the likelihood was given; the memory is told these x."""
        memory = self.prior.memory

        def step(before: Float[Array, " h"], at: tuple) -> tuple:
            key, told = at
            x, z = self._step(before, key)
            seen = x if told is None else jnp.where(told, x, 0.0)
            after = memory.after(before, z, memory.context(Datum(seen, told)))
            return after, (x, z, self.given_step(z, before))

        return jax.lax.scan(step, self.prior.start, (first_keys(key, self.prior.steps), told))[1]

    def _step(
        self, before: Float[Array, " h"], key: PRNGKeyArray
    ) -> tuple[Float[Array, " d"], Float[Array, " m"]]:
        """One draw of x_t and z_t given the memory before them."""
        z_key, x_key = streams(key, "recurrent_model.z", "recurrent_model.x")
        z = self.prior.law.sample(before, key=z_key)
        return self.likelihood.step.sample(self.given_step(z, before), key=x_key), z
