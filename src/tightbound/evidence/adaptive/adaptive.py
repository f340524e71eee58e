"""Adaptive importance sampling of log p(x): proposals that learn from the weights they earned.

Reference: Bugallo et al. 2017, IEEE Signal Process. Mag. 34(4).
Bias: none in Z-hat; the log is low on average.
"""

from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.items import Data, One
from tightbound.core.streams import item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional
from tightbound.distributions.contracts import prior_given
from tightbound.evidence.adaptive.adaptation import AbstractAdaptation, adapted
from tightbound.evidence.adaptive.amis import AMIS
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.estimate import Estimate, of_log_weights, undefined
from tightbound.evidence.estimator import estimator
from tightbound.evidence.execution import Execution, ExecutionSettings, Found, per_device
from tightbound.evidence.rounding import rounding
from tightbound.evidence.terms import ADAPTED
from tightbound.mcmc import check_moves
from tightbound.models.model import Model
from tightbound.models.weights import split_each

START_DRAWS = 1000
"""Draws of the start that give location and scale, and first locations."""
AT_ONCE = 10_000


def adaptive(
    model: Model,
    x: DataLike | None = None,
    *,
    method: AbstractAdaptation | None = None,
    start: AbstractConditional | None = None,
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) of each datum by importance sampling that adapts to it; nats.

    Each datum has proposals of its own.

    Args:
        model: p(x, z), with a prior on all real numbers.
        x: Data of shape (n, d); none for a `Target`.
        method: `AMIS`, `PMC`, `DMPMC` or `FAB` with their settings; `AMIS()` if left out.
        start: Where proposals come from: a posterior q(z|x), which needs no density, or the prior
            if left out. It should be rather too wide than too narrow.
        execution: `key`, `binarize`, `batch_size` (by default 10,000 draws together),
            `progress`, `resume` and `keep`: see `tb.evidence.Execution`.

    Returns:
        An estimate whose `diagnostics` hold, per datum, `khat`, the posterior's `mean` and `sd`
        for each dimension of z as one vector, and `ess_by_round`, the effective share of each
        round's draws.

    Raises:
        UsageError: A prior on something else than all real numbers, or data outside the
            likelihood's support (row and column are named).
    """
    run = Execution.of(adaptive, execution, without=("chunk",))
    method = AMIS() if method is None else method
    check_moves(model.prior, "adaptive importance sampling")
    data = prepared(model, x, run.binarize, run.key)
    keep = run.keeps(model, method.draws)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(stream(data.noise_key, "adaptive.rounds"), items)
        return _estimated(model, start, method, values, keys, keep=keep)

    return run.estimate(
        one_batch,
        data,
        model=model,
        direction=method.kind,
        method=method.words,
        draws=method.draws,
        terms=ADAPTED,
        doing="adapting",
        at_once=per_device(AT_ONCE, of_each=method.at_once),
    )


@filter_jit
def _estimated(
    model: Model,
    start: AbstractConditional | None,
    method: AbstractAdaptation,
    x: Data,
    keys: Key[Array, " n"],
    *,
    keep: bool,
) -> Batch:
    """The estimate of each datum, its diagnostics, and its rounding."""

    def begin(x: One, key: PRNGKeyArray) -> Any:
        if start is None:
            return model.prior.sample(prior_given(model.prior, x), key=key)
        return start.sample(x, key=key)

    def one(x: One, keys: Key[Array, " two"]) -> Any:
        start_keys = split_each(keys[:1], START_DRAWS)[0]
        z = jax.vmap(lambda key: begin(x, key))(start_keys)
        found = adapted(method, lambda z: model.log_joint(x, z), z, keys[1])
        best = jnp.argmax(found.log_w)
        return (
            found.log_w,
            jax.tree.map(lambda leaf: leaf[best], found.z),
            found.z if keep else None,
            found.astray,
            {"mean": found.mean, "sd": found.sd, "ess_by_round": found.ess_by_round},
        )

    log_w, z, drawn, astray, diagnostics = jax.vmap(one)(x, split_each(keys, 2))
    drawn = (drawn, log_w) if keep else None
    of = of_log_weights(log_w)
    more = {**of.tail, **diagnostics}
    found = Found(of.log_z, of.stderr, of.ess, rounding(model, x, z), more, drawn)
    return Batch(found, undefined(log_w) + jnp.astype(astray > 0, jnp.int32))


AdaptiveSampling = estimator("AdaptiveSampling", adaptive, posterior="start")
"""`adaptive` with its settings, as a value: see `tb.evaluate(by=...)`."""
