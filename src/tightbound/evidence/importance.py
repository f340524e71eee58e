"""Importance sampling of log p(x) with the posterior as proposal, streamed over draws.

Reference: Burda et al. 2015, arXiv 1509.00519, section 5.1 (k = 5000).
Bias: E[p-hat] = p(x) exactly; the log is low by about Var(w) / (2 k p(x)^2): a stochastic lower
bound that rises to log p(x) as k grows.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from tightbound.distributions import AbstractExplicit
from tightbound.evidence.pareto import khat, tail_length
from tightbound.models.model import Model
from tightbound.models.weights import log_weights

PREFIXES = (1, 5, 50, 500, 5000, 50000)
"""Numbers of draws at which the bound is reported on the way to k."""


class Evidence(NamedTuple):
    """Per datum, in nats; one entry of each array is one datum."""

    log_z: Float[Array, " n"]
    """log (1/k) sum_i w_i."""
    stderr: Float[Array, " n"]
    """Standard error of log_z by the delta method; nan for k = 1."""
    ess: Float[Array, " n"]
    """Effective sample size (sum w)^2 / sum w^2, between 1 and k."""
    khat: Float[Array, " n"]
    """Shape of the weights' tail (see `pareto`)."""
    elbo: Float[Array, " n"]
    """Mean log-weight: the ELBO estimated with k draws."""
    bounds: Float[Array, "n m"]
    """L_j from the first j draws, for the prefixes j <= k."""


class _Sums(NamedTuple):
    """What is kept of the log-weights of n data, whatever their number."""

    largest: Float[Array, "n tail"]
    log_w: Float[Array, " n"]
    log_sum: Float[Array, " n"]
    log_sum_squares: Float[Array, " n"]
    log_prefix_sums: Float[Array, "n m"]


def prefixes(k: int) -> tuple[int, ...]:
    """The numbers of draws at which the bound is reported; k itself is the last."""
    return (*(j for j in PREFIXES if j < k), k)


@eqx.filter_jit
def importance(
    model: Model,
    posterior: AbstractExplicit,
    x: Float[Array, "n d"],
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
    n = x.shape[0]
    js = jnp.array(prefixes(k))

    def add(sums: _Sums, draws: Int[Array, " c"]) -> _Sums:
        draw_keys = jax.vmap(lambda key: jax.vmap(lambda i: jax.random.fold_in(key, i))(draws))(
            keys
        )
        log_w = log_weights(model, posterior, x, draw_keys)
        together = jnp.concatenate([sums.largest, log_w], axis=1)
        in_prefix = jnp.where(draws[:, None] < js[None, :], 0.0, -jnp.inf)
        prefix_sums = jax.vmap(lambda row: jax.nn.logsumexp(row[:, None] + in_prefix, axis=0))(
            log_w
        )
        return _Sums(
            jax.lax.top_k(together, sums.largest.shape[1])[0],
            sums.log_w + jnp.sum(log_w, axis=1),
            jnp.logaddexp(sums.log_sum, jax.nn.logsumexp(log_w, axis=1)),
            jnp.logaddexp(sums.log_sum_squares, jax.nn.logsumexp(2 * log_w, axis=1)),
            jnp.logaddexp(sums.log_prefix_sums, prefix_sums),
        )

    nothing = jnp.full(n, -jnp.inf)
    sums = _Sums(
        jnp.full((n, tail_length(k) + 1), -jnp.inf),
        jnp.zeros(n),
        nothing,
        nothing,
        jnp.full((n, len(js)), -jnp.inf),
    )
    whole = jnp.arange(k // chunk * chunk).reshape(-1, chunk)
    sums, _ = jax.lax.scan(lambda carry, draws: (add(carry, draws), None), sums, whole)
    if k % chunk:
        sums = add(sums, jnp.arange(k - k % chunk, k))
    return _evidence(sums, k)


def _evidence(sums: _Sums, k: int) -> Evidence:
    log_k = jnp.log(jnp.float32(k))
    ess = jnp.exp(2 * sums.log_sum - sums.log_sum_squares)
    relative_variance = jnp.maximum(k / ess - 1, 0) / jnp.where(k > 1, k - 1, jnp.nan)
    ascending = sums.largest[:, ::-1]
    log_js = jnp.log(jnp.array(prefixes(k), jnp.float32))
    return Evidence(
        log_z=sums.log_sum - log_k,
        stderr=jnp.sqrt(relative_variance),
        ess=ess,
        khat=jax.vmap(khat)(ascending),
        elbo=sums.log_w / k,
        bounds=sums.log_prefix_sums - log_js[None, :],
    )
