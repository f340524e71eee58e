"""Distributions of whole paths z_1, ..., z_T that are made of one conditional of a step.

A sequence ends at the last step of which a value is known. What comes behind it has no data, and
would add the variance of as many needless draws to every weight. So the latents of those steps are
N(0, I) by themselves, under p(z) and q(z|x) alike: they cancel in log p(x, z) - log q(z|x) to the
bit, and since p(x_observed) = int p(z_1..z_L) p(x_1..x_L|z_1..z_L) does not look at them, it is
what it was. A step before the end without any value is one like the others.
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.items import Datum
from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit

LOG_TWO_PI = math.log(2 * math.pi)


def live(given: Any) -> Bool[Array, " steps"] | None:
    """Which steps come no later than the last with a known value; None if all do."""
    if not isinstance(given, Datum) or given.observed is None:
        return None
    known = jnp.any(given.observed.reshape(given.observed.shape[0], -1), axis=1)
    return jnp.flip(jnp.cumsum(jnp.flip(known))) > 0


class AbstractSteps(AbstractExplicit):
    """A distribution of a path of shape (steps, m), step by step, each given those before it.

    What it is given of them is the one before, unless `after` and `befores` say otherwise; what
    else is its entry of `contexts`, which depend on the datum alone. Draws of a step depend on its
    number and the key, and not on how many steps there are.
    """

    steps: eqx.AbstractVar[int]
    """The number of steps, of sequences that are as long as can be."""

    @property
    def offers(self) -> frozenset[str]:
        """What other densities do, and the law of each step."""
        return super().offers | {"steps"}

    @property
    def support(self) -> str:
        """Where values must lie."""
        return "real"

    @property
    @abc.abstractmethod
    def start(self) -> Float[Array, " b"]:
        """What the first step is given in place of those before."""

    @abc.abstractmethod
    def contexts(self, given: Any) -> Any:
        """What steps are given of a datum: arrays with a leading axis of the steps."""

    @abc.abstractmethod
    def sample_step(
        self, before: Float[Array, " b"], context: Any, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " m"], Float[Array, ""]]:
        """One draw of a step and its log-density in nats, given those before."""

    @abc.abstractmethod
    def log_prob_step(
        self, value: Float[Array, " m"], before: Float[Array, " b"], context: Any
    ) -> Float[Array, ""]:
        """Log-density of a step in nats, given those before."""

    @abc.abstractmethod
    def mean_step(self, before: Float[Array, " b"], context: Any) -> Float[Array, " m"]:
        """Mean of a step, given those before."""

    def after(
        self, before: Float[Array, " b"], value: Float[Array, " m"], context: Any
    ) -> Float[Array, " b"]:
        """What the next step is given of this one and those before it: this one, unless so."""
        del before, context
        return value

    def befores(self, value: Float[Array, "steps m"], contexts: Any) -> Float[Array, "steps b"]:
        """What each step of a path is given of those before it."""
        del contexts
        return jnp.concatenate([self.start[None].astype(value.dtype), value[:-1]])

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, "steps m"]:
        """One path; N(0, I) behind the last step of a datum."""
        return self.sample_and_log_prob(given, key=key)[0]

    def sample_and_log_prob(
        self, given: Any, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "steps m"], Float[Array, ""]]:
        """One path and its log-density in nats."""

        def step(before: Float[Array, " b"], given: tuple) -> tuple:
            context, alive, key = given
            z, log_prob = self.sample_step(before, context, key=key)
            if alive is not None:
                noise = jax.random.normal(key, z.shape, z.dtype)
                z = jnp.where(alive, z, noise)
                log_prob = jnp.where(alive, log_prob, log_standard(z))
            return self.after(before, z, context), (z, log_prob)

        steps = self.contexts(given), live(given), first_keys(key, self.steps)
        z, log_probs = jax.lax.scan(step, self.start, steps)[1]
        return z, jnp.sum(log_probs)

    def log_prob(self, value: Float[Array, "steps m"], given: Any = None) -> Float[Array, ""]:
        """Log-density of a path in nats."""
        return jnp.sum(self.log_prob_steps(value, given))

    def log_prob_steps(
        self, value: Float[Array, "steps m"], given: Any = None
    ) -> Float[Array, " steps"]:
        """Log-density of each step given those before it, in nats; their sum is `log_prob`."""
        contexts = self.contexts(given)
        return self.log_prob_from(value, self.befores(value, contexts), contexts, live(given))

    def log_prob_from(
        self,
        value: Float[Array, "steps m"],
        befores: Float[Array, "steps b"],
        contexts: Any,
        alive: Bool[Array, " steps"] | None,
    ) -> Float[Array, " steps"]:
        """The same, for what each step is given and which come before the end."""
        each = jax.vmap(self.log_prob_step)(value, befores, contexts)
        return each if alive is None else jnp.where(alive, each, jax.vmap(log_standard)(value))

    def mean(self, given: Any = None) -> Float[Array, "steps m"]:
        """The path along the chain of means; 0 behind the last step of a datum."""

        def step(before: Float[Array, " b"], context: Any) -> tuple:
            z = self.mean_step(before, context)
            return self.after(before, z, context), z

        z = jax.lax.scan(step, self.start, self.contexts(given))[1]
        alive = live(given)
        return z if alive is None else jnp.where(alive[:, None], z, 0.0)

    def cut(
        self, z: Float[Array, "steps m"], given: Any, key: PRNGKeyArray
    ) -> Float[Array, "steps m"]:
        """A path of all steps as one given a datum: N(0, I) behind the datum's last step."""
        alive = live(given)
        if alive is None:
            return z
        noise = jax.vmap(lambda key: jax.random.normal(key, z.shape[1:], z.dtype))
        return jnp.where(alive[:, None], z, noise(first_keys(key, self.steps)))


def cut(prior: Any, x: Any, z: Any, key: PRNGKeyArray) -> Any:
    """A z of the model at all steps as one given a datum; of models without steps z itself."""
    return prior.cut(z, x, key) if isinstance(prior, AbstractSteps) else z


def log_standard(value: Float[Array, " m"]) -> Float[Array, ""]:
    """Log-density of N(0, I) in nats."""
    return -0.5 * (jnp.sum(value**2) + LOG_TWO_PI * value.shape[0])
