"""Draws of z given data, weighed and chosen anew: of sequences smoothing draws, whole paths.

Reference: Rubin 1988, Bayesian Statistics 3 (sampling importance resampling).
Bias: the draws are those of p(z|x) as k grows; `ess` and `khat` say whether k is large enough.
"""

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import first_keys, item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractExplicit, AbstractSteps
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.models import Model
from tightbound.models.shapes import like_z
from tightbound.models.weights import systematic
from tightbound.tasks.marginals import single
from tightbound.tasks.predictive import NUMBERS, K, accuracy, weighed


@dataclass(frozen=True, kw_only=True, eq=False)
class Smoothed:
    """States of n sequences given all of their known values."""

    draws: Float[np.ndarray, "draws n steps m"]
    """Whole paths of equal weight; behind the end of a sequence the model goes on."""
    mean: Float[np.ndarray, "n steps m"]
    """E[z_t|x], by all k draws."""
    log_evidence: Float[np.ndarray, " n"]
    """Log p(x) of each sequence in nats, by the same draws."""
    stderr: Float[np.ndarray, " n"]
    ess: Float[np.ndarray, " n"]
    """Effective number of draws, of k."""
    khat: Float[np.ndarray, " n"]
    """Shape of the weights' tail: beyond 0.7 draws are too few, whatever their number."""
    k: int


def smooth(
    model: Any,
    posterior: Any,
    x: DataLike,
    *,
    draws: int = 100,
    k: int = K,
    **execution: Unpack[ExecutionSettings],
) -> Smoothed:
    """Draws whole paths of states given sequences, by draws of q(z|x) and their weights.

    Args:
        model: p(x, z) of sequences, as of `tb.sequence_model` or `tb.models.linear_state_space`,
            whose `tb.evidence.kalman` has exact draws.
        posterior: q(z|x).
        x: Sequences of shape (n, steps, d), NaN where values are missing.
        draws: Paths of each, chosen with probability proportional to their weights.
        k: Draws of q that are chosen from.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: A model without steps, or as for `tb.evaluate`.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(smooth, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    draws, k = at_least(1, draws=draws, k=k)
    if not isinstance(model.prior, AbstractSteps):
        raise UsageError(
            "smoothing draws are paths of a model of sequences, as of tb.sequence_model: expected "
            f"a prior with steps, got {type(model.prior).__name__}; draws of other models are kept "
            "by tb.evaluate(keep=True)"
        )
    proposal = with_density(posterior, model, run.key, "smoothing draws")
    data = prepared(model, x, run.binarize, run.key)

    def one_batch(seen: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(stream(data.noise_key, "smooth.z"), items)
        return Batch(*_smoothed(model, proposal, seen, keys, k=k, draws=draws))

    each = like_z(model).size * (k + draws)
    drawn, mean, *rest = run.over(
        one_batch, data, doing="smoothing", at_once=per_device(NUMBERS, of_each=each)
    )
    log_evidence, stderr, ess, khat = rest
    return Smoothed(
        draws=np.swapaxes(drawn, 0, 1),
        mean=mean,
        log_evidence=log_evidence,
        stderr=stderr,
        ess=ess,
        khat=khat,
        k=k,
    )


@filter_jit
def _smoothed(
    model: Model,
    posterior: AbstractExplicit,
    x: Data,
    keys: Key[Array, " n"],
    *,
    k: int,
    draws: int,
) -> tuple[tuple, Int[Array, " n"]]:
    def one(x: Any, key: PRNGKeyArray) -> tuple[tuple, Int[Array, ""]]:
        z, log_w = weighed(model, posterior, x, key, k)
        behind = first_keys(stream(key, "smooth.behind"), k)
        z = jax.vmap(lambda z, key: model.whole(x, z, key).z)(z, behind)
        shares = jax.nn.softmax(log_w)
        # Zero times a path without weight, which may be anything.
        weight = shares[:, None, None]
        mean = jnp.sum(jnp.where(weight > 0, weight * z, 0.0), axis=0)
        chosen = systematic(shares, draws, stream(key, "smooth.chosen"))
        undefined = jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf))
        return (z[chosen], mean, *accuracy(log_w, posterior)), undefined

    return jax.vmap(one)(x, keys)
