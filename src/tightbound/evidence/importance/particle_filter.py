"""Log p(x) of sequences by particle filters: several independent ones tell the error.

Reference: Gordon, Salmond & Smith 1993, IEE Proceedings F 140(2); Doucet & Johansen 2009.
Bias: E[p-hat] = p(x) exactly; the log of the mean over filters is a stochastic lower bound.
"""

from typing import Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, One
from tightbound.core.streams import item_keys
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractSteps
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.estimate import Estimate, of_log_weights, undefined
from tightbound.evidence.estimator import estimator
from tightbound.evidence.execution import Execution, ExecutionSettings, Found, per_device
from tightbound.evidence.rounding import rounding
from tightbound.evidence.terms import Terms
from tightbound.models.model import Model
from tightbound.models.particle_filter import particles, share_of
from tightbound.models.weights import split_each

AT_ONCE = 2**18
"""Particles at all steps of all sequences that are held at once by default."""
FILTERS = Terms("filters", "more particles (estimates then vary less), or another q", chains=True)


def particle_filter(
    model: Model,
    posterior: AbstractConditional,
    x: DataLike,
    *,
    particles: int = 200,
    filters: int = 32,
    resampling: str = "ess 0.5",
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) of each sequence by independent particle filters; nats, a lower bound.

    Args:
        model: p(x, z) with steps, as of `tb.sequence_model` or `tb.models.linear_state_space`.
        posterior: q(z_t|z_{t-1}, x), the proposal of each step; `model.prior` gives the bootstrap
            filter.
        x: Sequences of shape (n, steps, d), NaN where values are missing.
        particles: Of each filter.
        filters: Independent filters of each sequence, whose mean of p-hat is taken.
        resampling: As for `tb.objectives.fivo`.
        execution: `key`, `binarize`, `batch_size`, `progress` and `resume`: see
            `tb.evidence.Execution`.

    Returns:
        An estimate whose `diagnostics` hold, of each sequence, how often a filter was `resampled`
        on average.

    Raises:
        UsageError: Parts without steps, another way to resample, or as for `tb.evaluate`.
        NonFiniteError: A weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(particle_filter, execution, without=("chunk", "keep"))
    particles, filters = at_least(1, particles=particles, filters=filters)
    share = share_of(resampling)
    for part in (model.prior, model.likelihood, posterior):
        if "steps" not in getattr(part, "offers", ()):
            raise UsageError(
                "a particle filter goes step by step: expected parts that offer steps, as of "
                f"tb.sequence_model, got {type(part).__name__}"
            )
    data = prepared(model, x, run.binarize, run.key)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = split_each(item_keys(data.noise_key, items), filters)
        return _filtered(model, posterior, values, keys, k=particles, share=share)

    return run.estimate(
        one_batch,
        data,
        model=model,
        direction="lower",
        method=f"{filters} particle filters with {particles} particles, resampled {resampling}",
        draws=filters,
        terms=FILTERS,
        doing="filtering",
        at_once=per_device(AT_ONCE, of_each=filters * particles * model.prior.steps),
    )


@filter_jit
def _filtered(
    model: Model,
    posterior: AbstractSteps,
    x: Data,
    keys: Key[Array, "n filters"],
    *,
    k: int,
    share: float,
) -> Batch:
    def one(x: One, key: PRNGKeyArray) -> tuple:
        found = particles(model, posterior, x, key, k=k, share=share)
        path = found.path(jnp.argmax(found.log_weights))
        return found.log_evidence, path, jnp.sum(found.resampled)

    log_p, paths, resampled = jax.vmap(jax.vmap(one, in_axes=(None, 0)))(x, keys)
    of = of_log_weights(log_p, FILTERS)
    best = jnp.argmax(log_p, axis=1)
    rounded = rounding(model, x, jax.vmap(lambda of, i: of[i])(paths, best))
    more = {**of.tail, "resampled": jnp.mean(resampled.astype(log_p.dtype), axis=1)}
    return Batch(Found(of.log_z, of.stderr, of.ess, rounded, more), undefined(log_p))


ParticleFilter = estimator("ParticleFilter", particle_filter, posterior="posterior")
"""`particle_filter` with its settings, as a value: see `tb.evaluate(by=...)`."""
