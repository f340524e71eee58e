"""The jackknife of any order as an estimate of log p(x): less bias from the same draws of q.

Reference: Nowozin 2018, "Debiasing evidence approximations", eq. 20-21 and section 6.
Bias: O(k^-(order + 1)), of either sign: no bound for order >= 1.
"""

from typing import Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from tightbound.bounds import Jackknife
from tightbound.core.compilation import filter_jit
from tightbound.core.errors import at_least
from tightbound.core.items import Data
from tightbound.core.streams import item_keys
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.densities import in_words, with_density
from tightbound.evidence.estimate import Estimate, of_log_weights, undefined
from tightbound.evidence.estimator import estimator
from tightbound.evidence.execution import Execution, ExecutionSettings, Found, per_device
from tightbound.evidence.rounding import heaviest, rounding
from tightbound.evidence.terms import DRAWS
from tightbound.models.model import Model
from tightbound.models.weights import log_joint, sample, split_each

AT_ONCE = 2500
"""Draws of all data together that are held at once by default."""


def jackknife(
    model: Model,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    k: int = 500,
    order: int = 1,
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) of each datum by the jackknife on k draws of q(z|x); nats, no bound.

    All k log-weights of a batch are held at once. The draws are those of `tb.evaluate` with the
    same key and k.

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal; one without a density is stood in for as in `tb.evaluate`.
        x: Data of shape (n, d); none for a `Target`.
        k: Draws per datum.
        order: How many orders of the bias are removed; 0 is importance sampling itself.
        execution: `key`, `binarize`, `batch_size` (by default 2,500 draws together), `progress`,
            `resume` and `keep`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Another order than 0 <= order < k, or as for `tb.evaluate`.
    """
    run = Execution.of(jackknife, execution, without=("chunk",))
    proposal = with_density(posterior, model, run.key, "the jackknife")
    (k,) = at_least(1, k=k)
    bound = Jackknife(*at_least(0, order=order))
    bound.check_draws(k)
    data, keep = prepared(model, x, run.binarize, run.key), run.keeps(model, k)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = split_each(item_keys(data.noise_key, items), k)
        return _estimated(model, proposal, bound, values, keys, keep=keep)

    return run.estimate(
        one_batch,
        data,
        model=model,
        direction=bound.kind,
        method=f"jackknife of order {order} on {k} draws of {in_words(proposal) or 'q(z|x)'}",
        draws=k,
        terms=DRAWS,
        doing="evaluating",
        at_once=per_device(AT_ONCE, of_each=k),
    )


@filter_jit
def _estimated(
    model: Model,
    posterior: AbstractExplicit,
    bound: Jackknife,
    x: Data,
    keys: Key[Array, "n k"],
    *,
    keep: bool,
) -> Batch:
    """The jackknife's value; its leading error is that of the mean weight."""
    z, log_q = sample(posterior, x, keys)
    log_w = log_joint(model, x, z) - log_q
    of = of_log_weights(log_w)
    value = jax.vmap(bound.value)(log_w)
    more = {**of.tail, "jackknife": value - of.log_z}
    rounded = rounding(model, x, heaviest(log_w, z)[0], jnp.max(jnp.abs(log_q), axis=1))
    drawn = (z, log_w) if keep else None
    found = Found(value, of.stderr, of.ess, rounded, more, drawn)
    return Batch(found, undefined(log_w))


JackknifeSampling = estimator("JackknifeSampling", jackknife, posterior="posterior")
"""`jackknife` with its settings, as a value: see `tb.evaluate(by=...)`."""
