"""Importance sampling of log p(x) with the posterior as proposal, streamed over draws.

Reference: Burda et al. 2015, arXiv 1509.00519, section 5.1 (k = 5000).
Bias: E[p-hat] = p(x) exactly; the log is low by about Var(w) / (2 k p(x)^2): a stochastic lower
bound that rises to log p(x) as k grows.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Shaped

from tightbound.core.compilation import filter_jit
from tightbound.core.items import Data
from tightbound.core.streams import item_keys
from tightbound.distributions import AbstractExplicit
from tightbound.evidence.importance.pareto import tail_length
from tightbound.evidence.importance.tail import tail
from tightbound.evidence.rounding import heaviest, rounding
from tightbound.models.model import Model
from tightbound.models.weights import log_joint, sample

FIRST = 4
"""Draws among which the heaviest shows how much is rounding."""
PREFIXES = (1, 5, 50, 500, 5000, 50000)
"""Numbers of draws at which the bound is reported on the way to k."""


class Evidence(NamedTuple):
    """Per datum, in nats; one entry of each array is one datum."""

    log_z: Float[Array, " n"]
    """log (1/k) sum_i w_i."""
    stderr: Float[Array, " n"]
    """Standard error of log_z (see `tail`); nan for k = 1."""
    ess: Float[Array, " n"]
    """Effective sample size (sum w)^2 / sum w^2, between 1 and k."""
    khat: Float[Array, " n"]
    """Shape of the weights' tail (see `pareto`)."""
    missing: Float[Array, " n"]
    """What the tail beyond the largest weight adds on average."""
    most_missing: Float[Array, " n"]
    """The same, with k-hat at its upper end."""
    elbo: Float[Array, " n"]
    """Mean log-weight: the ELBO estimated with k draws."""
    jackknife: Float[Array, " n"]
    """What the jackknife of order 1 adds to log_z (Nowozin 2018, eq. 20); nan for k = 1."""
    bounds: Float[Array, "n m"]
    """L_j from the first j draws, for the `prefixes` j <= k."""


class _Sums(NamedTuple):
    """What is kept of the log-weights of n data, whatever their number.

    Sums of weights are relative to the largest weight so far. Kept as logarithms instead, they
    would be rounded at every chunk by 1e-7 of log p(x), which is hundreds of nats.
    """

    largest: Float[Array, "n tail"]
    log_w: Float[Array, " n"]
    peak: Float[Array, "n m"]
    """Largest log-weight among the first j draws, for each prefix j; the last prefix is k."""
    total: Float[Array, "n m"]
    """Sum of exp(log_w - peak) over the same draws."""
    squares: Float[Array, " n"]
    """Sum of exp(2 (log_w - peak)) over all draws."""
    undefined: Int[Array, " n"]
    """Log-weights that are NaN or +inf."""


def prefixes(k: int, also: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The numbers of draws at which the bound is reported, rising; k itself is the last."""
    return (*sorted({j for j in (*PREFIXES, *also) if j < k}), k)


@filter_jit
def importance(
    model: Model,
    posterior: AbstractExplicit,
    x: Data,
    keys: Key[Array, " n"],
    *,
    k: int,
    chunk: int,
) -> Evidence:
    """Estimates log p(x) for each datum from exactly k draws of q(z|x).

    Draw i of a datum comes from `fold_in(its key, i)`: neither the chunk, nor the other data,
    nor a larger k change it. Memory does not grow with k.

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal.
        x: Data of shape (n, d), inside the likelihood's support.
        keys: One key per datum.
        k: Draws per datum.
        chunk: Draws held at once.
    """
    js = prefixes(k)
    return _evidence(_streamed(model, posterior, x, keys, js=js, chunk=chunk)[0], js)


@filter_jit
def examined(
    model: Model,
    posterior: AbstractExplicit,
    x: Data,
    keys: Key[Array, " n"],
    *,
    k: int,
    chunk: int,
    also: tuple[int, ...] = (),
    keep: bool = False,
) -> tuple[Evidence, Int[Array, " n"], Float[Array, " n"], Any]:
    """The same, with the number of undefined log-weights of each datum, and its rounding in nats.

    Bounds are given at `also` too. Last come the draws, of shape (n, k, ...), and their
    log-weights, if they are kept.

    Rounding is that at the heaviest of the first draws, and costs 13 more evaluations of p(x, z).
    """
    js = prefixes(k, also)
    sums, drawn = _streamed(model, posterior, x, keys, js=js, chunk=chunk, keep=keep)
    z, log_q = sample(posterior, x, _of_draws(keys, jnp.arange(min(k, FIRST))))
    z, number = heaviest(log_joint(model, x, z) - log_q, z)
    log_q = jnp.take_along_axis(log_q, number[:, None], axis=1)[:, 0]
    return _evidence(sums, js), sums.undefined, rounding(model, x, z, log_q), drawn


def _of_draws(keys: Key[Array, " n"], draws: Int[Array, " c"]) -> Key[Array, "n c"]:
    """The keys of some of each datum's draws, by their numbers."""
    return jax.vmap(item_keys, in_axes=(0, None))(keys, draws)


def _streamed(
    model: Model,
    posterior: AbstractExplicit,
    x: Data,
    keys: Key[Array, " n"],
    *,
    js: tuple[int, ...],
    chunk: int,
    keep: bool = False,
) -> tuple[_Sums, Any]:
    """The sums of the draws, taken in chunks; and the draws with their log-weights, if kept.

    They are as many as the last of the prefixes `js`.
    """
    k = js[-1]

    def add(sums: _Sums, draws: Int[Array, " c"]) -> tuple[_Sums, Any]:
        z, log_q = sample(posterior, x, _of_draws(keys, draws))
        log_w = log_joint(model, x, z) - log_q
        return _add(sums, log_w, draws, js), (z, log_w) if keep else None

    sums, drawn = jax.lax.scan(
        lambda sums, i: add(sums, i * chunk + jnp.arange(chunk)),
        _nothing(keys.shape[0], js),
        jnp.arange(k // chunk),
    )
    drawn = jax.tree.map(_in_a_row, drawn)
    if k % chunk:
        sums, rest = add(sums, jnp.arange(k - k % chunk, k))
        drawn = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), drawn, rest)
    return sums, drawn


def _in_a_row(chunks: Shaped[Array, "t n c *s"]) -> Shaped[Array, "n k *s"]:
    """The draws of each datum one behind another."""
    swapped = jnp.swapaxes(chunks, 0, 1)
    return swapped.reshape(swapped.shape[0], -1, *swapped.shape[3:])


def _nothing(n: int, js: tuple[int, ...]) -> _Sums:
    """The sums of no draws."""
    k, m = js[-1], len(js)
    return _Sums(
        largest=jnp.full((n, tail_length(k) + 1), -jnp.inf),
        log_w=jnp.zeros(n),
        peak=jnp.full((n, m), -jnp.inf),
        total=jnp.zeros((n, m)),
        squares=jnp.zeros(n),
        undefined=jnp.zeros(n, jnp.int32),
    )


def _add(
    sums: _Sums, log_w: Float[Array, "n c"], draws: Int[Array, " c"], js: tuple[int, ...]
) -> _Sums:
    """The sums with the log-weights of further draws, given by their numbers."""
    in_prefix = draws[None, :, None] < jnp.array(js)[None, None, :]
    of_prefix = jnp.where(in_prefix, log_w[:, :, None], -jnp.inf)
    peak = jnp.maximum(sums.peak, jnp.max(of_prefix, axis=1))
    origin = _finite(peak)
    kept = jnp.exp(sums.peak - origin)
    relative = jnp.exp(of_prefix - origin[:, None, :])
    together = jnp.concatenate([sums.largest, log_w], axis=1)
    return _Sums(
        largest=jax.lax.top_k(together, sums.largest.shape[1])[0],
        log_w=sums.log_w + jnp.sum(log_w, axis=1),
        peak=peak,
        total=sums.total * kept + jnp.sum(relative, axis=1),
        squares=sums.squares * kept[:, -1] ** 2 + jnp.sum(relative[:, :, -1] ** 2, axis=1),
        undefined=sums.undefined + jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf), axis=1),
    )


def _finite(peak: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """The peaks, or 0 where all weights are zero or one is infinite."""
    return jnp.where(jnp.isfinite(peak), peak, 0.0)


def _evidence(sums: _Sums, js: tuple[int, ...]) -> Evidence:
    k, sizes = js[-1], jnp.array(js, sums.total.dtype)
    bounds = jnp.log(sums.total) - jnp.log(sizes)[None, :] + _finite(sums.peak)
    ess = jnp.minimum(sums.total[:, -1] ** 2 / sums.squares, k)
    of = jax.vmap(partial(tail, k=k))(sums.largest[:, ::-1], sums.total[:, -1], sums.squares)
    return Evidence(
        log_z=bounds[:, -1],
        stderr=of.stderr,
        ess=ess,
        khat=of.khat,
        missing=of.missing,
        most_missing=of.most_missing,
        elbo=sums.log_w / k,
        jackknife=_jackknife(sums, k),
        bounds=bounds,
    )


def _jackknife(sums: _Sums, k: int) -> Float[Array, " n"]:
    """(k - 1) (L_k - mean_i L_{k-1} without draw i), from the largest weights and the squares.

    With shares p_i of the sum it is (k - 1) (log(1 - 1/k) - sum_i log(1 - p_i) / k). The largest
    enter exactly; of the others, which are small, -log(1 - p) = p + p^2 / 2 to within p^3 / 3.
    """
    total = sums.total[:, -1]
    largest = sums.largest[:, : min(k, sums.largest.shape[1])]
    shares = jnp.exp(largest - _finite(sums.peak)[:, -1:]) / total[:, None]
    # A share of one would leave nothing without its draw: the difference is then without bound.
    of_largest = jnp.sum(-jnp.log1p(-jnp.minimum(shares, 1.0)) - shares, axis=1)
    of_others = sums.squares / total**2 - jnp.sum(shares**2, axis=1)
    away = 1 + of_largest + jnp.maximum(of_others, 0) / 2
    value = (k - 1) * (jnp.log1p(-1 / jnp.asarray(float(k), total.dtype)) + away / k)
    return value if k > 1 else jnp.full_like(value, jnp.nan)
