"""Particle filters of models with steps: k paths that are weighted, and resampled as they go.

Gordon, Salmond & Smith 1993, IEE Proceedings F 140(2); Doucet & Johansen 2009 (with proposals and
resampling by the effective number of draws). The product of the steps' mean weights is unbiased for
p(x): Del Moral 2004, proposition 7.4.1; with systematic resampling, whose expected counts are those
of independent draws, too.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import One, observed, values
from tightbound.core.streams import first_keys, numbered, stream
from tightbound.distributions import AbstractSteps
from tightbound.distributions.steps import live
from tightbound.models.model import Model
from tightbound.models.weights import systematic

EXAMPLES = "'ess 0.5', 'always' or 'never'"


class Particles(NamedTuple):
    """The k particles of one sequence at each step, as they were before the next resampling."""

    log_steps: Float[Array, " steps"]
    """Log of each step's factor of p-hat(x), in nats: what estimates log p(x_t|x_1..x_{t-1})."""
    log_weights: Float[Array, " k"]
    """Of the whole paths at the last step, up to a constant."""
    states: Float[Array, "steps k m"]
    ancestors: Int[Array, "steps k"]
    """Which particle of the step before each one comes from."""
    resampled: Bool[Array, " steps"]
    """Whether particles were resampled before the step."""

    @property
    def log_evidence(self) -> Float[Array, "*n"]:
        """Log p-hat(x) in nats; the mean of p-hat is p(x)."""
        return jnp.sum(self.log_steps, axis=-1)

    def path(self, number: Int[Array, ""]) -> Float[Array, "steps m"]:
        """The whole path that ends in a particle."""

        def back(number: Int[Array, ""], at: tuple) -> tuple:
            states, ancestors = at
            return ancestors[number], states[number]

        return jax.lax.scan(back, number, (self.states, self.ancestors), reverse=True)[1]


def share_of(resampling: str) -> float:
    """The share of effective particles below which they are resampled.

    Raises:
        UsageError: It is none of the ways.
    """
    word, _, share = resampling.partition(" ")
    if resampling in ("always", "never"):
        return 2.0 if resampling == "always" else 0.0
    try:
        found = float(share) if word == "ess" else -1.0
    except ValueError:
        found = -1.0
    if not 0 < found <= 1:
        raise UsageError(f"expected resampling={EXAMPLES}, got {resampling!r}")
    return found


def particles(
    model: Model,
    posterior: AbstractSteps,
    x: One,
    key: PRNGKeyArray,
    *,
    k: int,
    share: float,
) -> Particles:
    """Filters one sequence, with q(z_t|z_{t-1}, x) as proposal of each step.

    Draws of a particle are those of its own key, `first_keys(key, k)`, as of an independent draw of
    q(z|x). No gradient runs through the choice of ancestors.

    Args:
        model: p(x, z), whose prior and likelihood offer "steps".
        posterior: The proposal.
        x: The sequence.
        key: Of all draws.
        k: Particles.
        share: They are resampled before a step if the effective number of them is below share * k.
    """
    prior, likelihood = model.prior, model.likelihood
    alive, known = live(x), observed(x)
    alive = jnp.ones(prior.steps, bool) if alive is None else alive
    keys = first_keys(key, k)

    def step(carry: tuple, at: tuple) -> tuple:
        before_p, before_q, log_w = carry
        number, of_p, of_q, value, is_known, alive = at
        shares = jax.lax.stop_gradient(jax.nn.softmax(log_w))
        due = alive & (1 / jnp.sum(shares**2) < share * k) & (number > 0)
        chosen = systematic(shares, k, stream(numbered(key, number), "particles.chosen"))
        ancestors = jnp.where(due, chosen, jnp.arange(k))
        before_p, before_q = before_p[ancestors], before_q[ancestors]
        log_w = jnp.where(due, 0.0, log_w)

        def one(p: Any, q: Any, key: PRNGKeyArray) -> tuple:
            key = numbered(key, number)
            z, log_q = posterior.sample_step(q, of_q, key=key)
            noise = jax.random.normal(key, z.shape, z.dtype)
            z = jnp.where(alive, z, noise)
            log_p = prior.log_prob_step(z, p, of_p)
            given = model.given_step(z, p)
            log_p = log_p + likelihood.step.log_prob_observed(value, is_known, given)
            after = prior.after(p, z, of_p), posterior.after(q, z, of_q)
            return z, jnp.where(alive, log_p - log_q, 0.0), *after

        z, gained, after_p, after_q = jax.vmap(one)(before_p, before_q, keys)
        after = log_w + gained
        log_step = jax.nn.logsumexp(after) - jax.nn.logsumexp(log_w)
        return (after_p, after_q, after), (log_step, z, ancestors, due)

    starts = [jnp.broadcast_to(of.start, (k, *of.start.shape)) for of in (prior, posterior)]
    given = prior.contexts(x), posterior.contexts(x)
    at = (jnp.arange(prior.steps), *given, values(x), known, alive)
    (_, _, log_w), found = jax.lax.scan(step, (*starts, jnp.zeros(k)), at)
    log_steps, states, ancestors, resampled = found
    return Particles(log_steps, log_w, states, ancestors, resampled)
