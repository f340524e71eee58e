"""One iteration of EM for mixtures whose components have a Gaussian block and tables of levels.

Rows with the same holes share all matrices: a sweep of a component's covariance over what is known
(Beaton 1964; Little & Rubin 2019, section 7.4) gives at once the regression of what is missing on
what is known, what is left of its covariance, and the determinant. Rows come in blocks, of which
sums alone are kept, so that memory does not grow with their number.

Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3; Ghahramani & Jordan 1994, NIPS 6
(mixtures of incomplete data); Fraley & Raftery 2007, J. Classif. 24(2) (the mode under an inverse
Wishart prior).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tightbound.distributions.triangular import HIGHEST

ENTRIES = 2**16
"""Most numbers of swept matrices of one component that are held at once, where rows allow it."""
ROWS = 1024
"""Most rows of a block."""
ABREAST = 32
"""Least patterns of a block: fewer do not fill the units that work on several at once."""
Numbers = np.ndarray | Array


class Blocks(NamedTuple):
    """Data by blocks of rows that are sorted by what they know; a row without number is no row."""

    x: Float[Numbers, "b d rows"]
    """Numbers, 0 where they are missing."""
    known: Float[Numbers, "b d patterns"]
    """Which are known, 1 or 0, for each pattern of holes of a block."""
    which: Int[Numbers, "b rows"]
    """The pattern of each row."""
    levels: tuple[Int[Numbers, "b rows"], ...]
    """Of each column of levels the number, or -1 where it is missing."""
    row: Int[Numbers, "b rows"]
    """Where the row is in the data; n where there is none."""


class Mixture(NamedTuple):
    """K components: logits of their shares, means and covariances of numbers, masses of levels."""

    log_shares: Float[Array, " k"]
    means: Float[Array, "k d"]
    covariances: Float[Array, "k d d"]
    log_levels: tuple[Float[Array, "k _levels"], ...]


class Limits(NamedTuple):
    """What keeps the parameters from the edge, as numbers that a compiled program is given."""

    floor: Float[Array, " d"]
    """Least variance of a component along each column, in every direction together."""
    shrinkage: Float[Array, ""]
    """How many further data each covariance counts; infinitely many make all of them one."""
    spread: Float[Array, "d d"]
    """The covariance of these data."""
    smoothing: Float[Array, ""]
    """How many further data each table of levels counts."""
    frequencies: tuple[Float[Array, " _levels"], ...]
    """Their levels."""
    rank: Int[Array, ""]
    """In how many directions a covariance is more than noise of one variance; d for any."""


class Sums(NamedTuple):
    """What the M step needs of all rows."""

    total: Float[Array, " k"]
    first: Float[Array, "k d"]
    second: Float[Array, "k d d"]
    levels: tuple[Float[Array, "k _levels"], ...]


def blocks(x: Float[np.ndarray, "n d"], levels: tuple[Int[np.ndarray, " n"], ...] = ()) -> Blocks:
    """Sorts rows by their holes and cuts them into blocks.

    Args:
        x: Numbers, NaN where they are missing.
        levels: Of each column of levels its numbers, -1 where they are missing.
    """
    n, d = x.shape
    known = ~np.isnan(x)
    patterns, pattern = np.unique(known, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    order = np.argsort(pattern, kind="stable")
    size = min(n, ROWS, max(ABREAST, ENTRIES // max(1, d * d)))
    count = -(-n // size)
    row = np.full(count * size, n, np.int32)
    row[:n] = order
    row = row.reshape(count, size)
    of_rows = np.append(pattern, pattern[order[-1]])[row]
    local = [np.unique(of, return_inverse=True) for of in of_rows]
    most = _rounded_up(max(len(found) for found, _ in local))
    of_blocks = np.ones((count, most, d))
    for number, (found, _) in enumerate(local):
        of_blocks[number, : len(found)] = patterns[found]
    filled = np.append(np.where(known, x, 0), np.zeros((1, d)), axis=0).astype(x.dtype)
    return Blocks(
        np.ascontiguousarray(filled[row].transpose(0, 2, 1)),
        np.ascontiguousarray(of_blocks.transpose(0, 2, 1)).astype(x.dtype),
        np.stack([which.reshape(-1) for _, which in local]).astype(np.int32),
        tuple(np.append(of, -1)[row].astype(np.int32) for of in levels),
        row,
    )


def _rounded_up(patterns: int) -> int:
    """At most a quarter more: tables whose holes are alike then share a compiled program."""
    step = 2 ** max(0, patterns.bit_length() - 3)
    return -(-patterns // step) * step


def iteration(
    mixture: Mixture, data: Blocks, weights: Float[Array, " n"], limits: Limits
) -> tuple[Mixture, Float[Array, " n"]]:
    """One iteration: the mixture after it, and log p(x_observed) of each row before it."""
    sums, log_p = _expected(mixture, data, weights)
    return _maximised(mixture, sums, limits), log_p


def log_evidence(mixture: Mixture, data: Blocks, n: int) -> Float[Array, " n"]:
    """Log p(x_observed) in nats for each of n rows."""
    return _expected(mixture, data, jnp.zeros(n, mixture.means.dtype))[1]


def swept(
    covariance: Float[Array, "d d"], known: Float[Array, "d p"]
) -> tuple[Float[Array, "d d p"], Float[Array, " p"]]:
    """A covariance S swept over what is known (o), for each pattern; and log |S_oo|.

    The blocks are then -1/S_oo, S_oo^-1 S_om and S_mm - S_mo S_oo^-1 S_om. Patterns are the last
    axis, along which processors work at once.
    """
    d = covariance.shape[0]

    def pivot(state: tuple[Array, Array], here: Float[Array, " p"]) -> tuple[Any, None]:
        # The pivot is always the first row, which then becomes the last: that its place is fixed
        # makes this four times as fast as a loop over places.
        now, log_volume = state
        first, rest = now[0, 0], now[0, 1:]
        value = jnp.where(here > 0, first, 1.0)
        scaled = rest * (here / value)[None]
        line = jnp.where(here[None] > 0, scaled, rest)
        after = jnp.zeros_like(now).at[:-1, :-1].set(now[1:, 1:] - rest[:, None] * scaled[None])
        after = after.at[-1, :-1].set(line).at[:-1, -1].set(line)
        after = after.at[-1, -1].set(jnp.where(here > 0, -1 / value, first))
        return (after, log_volume + jnp.log(value)), None

    all_of = jnp.repeat(covariance[:, :, None], known.shape[1], axis=2)
    start = all_of, jnp.zeros(known.shape[1], covariance.dtype)
    return jax.lax.scan(pivot, start, known)[0] if d else start


class _Of(NamedTuple):
    """What one component makes of a block."""

    log_p: Float[Array, " rows"]
    away: Float[Array, "d rows"]
    """Numbers, with what is expected of missing ones, less the component's mean."""
    left: Float[Array, "d d patterns"]
    """The covariance of missing numbers given known ones."""


def _of_one(
    mean: Float[Array, " d"],
    covariance: Float[Array, "d d"],
    x: Float[Array, "d rows"],
    known: Float[Array, "d patterns"],
    which: Int[Array, " rows"],
) -> _Of:
    matrices, log_volume = swept(covariance, known)
    one = known.shape[1] == 1
    here = jnp.broadcast_to(known, x.shape) if one else known[:, which]
    away = here * (x - mean[:, None])
    if one:
        through = jnp.matmul(matrices[:, :, 0], away, precision=HIGHEST)
    else:
        through = jnp.sum(matrices[:, :, which] * away[None], axis=1)
    distance = -jnp.sum(away * through, axis=0)
    volume = log_volume[which] + math.log(2 * math.pi) * jnp.sum(here, axis=0)
    missing = 1 - known
    left = missing[:, None] * matrices * missing[None]
    return _Of(-0.5 * (distance + volume), away + (1 - here) * through, left)


def _expected(
    mixture: Mixture, data: Blocks, weights: Float[Array, " n"]
) -> tuple[Sums, Float[Array, " n"]]:
    """The E step: sums over rows by the exact posterior of components, and log p of each row."""
    k, d = mixture.means.shape
    dtype = mixture.means.dtype
    n = weights.shape[0]
    padded = jnp.append(weights, jnp.zeros((), dtype))

    def add(sums: Sums, block: Blocks) -> tuple[Sums, Array]:
        x, known, which = map(jnp.asarray, (block.x, block.known, block.which))
        found = jax.lax.map(
            lambda of: _of_one(of[0], of[1], x, known, which),
            (mixture.means, mixture.covariances),
        )
        log_joint = found.log_p + jax.nn.log_softmax(mixture.log_shares)[:, None]
        for log_level, number in zip(mixture.log_levels, block.levels, strict=True):
            log_joint += jnp.where(number[None] >= 0, log_level[:, number], 0.0)
        log_p = jax.nn.logsumexp(log_joint, axis=0)
        shares = jnp.exp(log_joint - log_p[None]) * padded[block.row][None]

        def moments(of: tuple[Array, ...]) -> tuple[Array, Array]:
            share, away, left = of
            weighted = share[None] * away
            patterns = jnp.zeros(left.shape[2], dtype).at[block.which].add(share)
            second = jnp.matmul(weighted, away.T, precision=HIGHEST)
            return jnp.sum(weighted, axis=1), second + jnp.sum(left * patterns[None, None], axis=2)

        first, second = jax.lax.map(moments, (shares, found.away, found.left))
        levels = tuple(
            so_far + jnp.matmul(shares, jax.nn.one_hot(number, so_far.shape[1], dtype=dtype))
            for so_far, number in zip(sums.levels, block.levels, strict=True)
        )
        total = sums.total + jnp.sum(shares, axis=1)
        return Sums(total, sums.first + first, sums.second + second, levels), log_p

    none = Sums(
        jnp.zeros(k, dtype),
        jnp.zeros((k, d), dtype),
        jnp.zeros((k, d, d), dtype),
        tuple(jnp.zeros_like(of) for of in mixture.log_levels),
    )
    sums, log_p = jax.lax.scan(add, none, data)
    by_row = jnp.zeros(n + 1, dtype).at[data.row.reshape(-1)].set(log_p.reshape(-1))
    return sums, by_row[:n]


def _maximised(old: Mixture, sums: Sums, limits: Limits) -> Mixture:
    """The M step: the mode of the expected complete-data log-likelihood and the prior."""
    tiny = jnp.finfo(old.means.dtype).tiny
    lost = sums.total < jnp.sqrt(tiny)  # less than rounding leaves of any datum
    total = jnp.where(lost, 1.0, sums.total)
    moved = sums.first / total[:, None]
    scatter = sums.second / total[:, None, None] - moved[:, :, None] * moved[:, None, :]
    tied = jnp.isinf(limits.shrinkage)
    pooled = jnp.einsum("k,kij->ij", sums.total, scatter) / jnp.sum(sums.total)
    further = jnp.where(tied, 0.0, limits.shrinkage)
    own = (sums.total / (sums.total + further))[:, None, None]
    drawn = own * scatter + (1 - own) * limits.spread[None]
    covariances = bounded(jnp.where(tied, pooled[None], drawn), limits.floor, limits.rank)
    log_levels = tuple(
        jnp.log(jnp.maximum(count + limits.smoothing * usual[None], tiny))
        - jnp.log(jnp.maximum(jnp.sum(count, axis=1, keepdims=True) + limits.smoothing, tiny))
        for count, usual in zip(sums.levels, limits.frequencies, strict=True)
    )
    new = Mixture(
        jnp.log(jnp.maximum(sums.total, tiny)) - jnp.log(jnp.sum(sums.total)),
        old.means + moved,
        covariances,
        log_levels,
    )

    def kept(new: Array, old: Array) -> Array:
        # A component without data stays where it was.
        return jnp.where(lost.reshape(-1, *(1,) * (new.ndim - 1)), old, new)

    return jax.tree.map(kept, new, old)._replace(log_shares=new.log_shares)


def bounded(
    covariances: Float[Array, "k d d"], floor: Float[Array, " d"], rank: Int[Array, ""]
) -> Float[Array, "k d d"]:
    """The best covariances that are nowhere below the floor; of `rank` directions and noise.

    Of those that are noise of one variance in all but `rank` directions the best has the leading
    eigenvectors, and the mean of the other eigenvalues (Tipping & Bishop 1999, JRSS B 61(3), eqs.
    7 and 8).
    """
    if not floor.shape[0]:
        return covariances
    d = floor.shape[0]
    values, vectors = jnp.linalg.eigh(covariances)
    rest = (jnp.arange(d) < d - rank)[None]
    noise = jnp.sum(jnp.where(rest, values, 0.0), axis=1) / jnp.maximum(d - rank, 1)
    lowered = _made(jnp.where(rest, noise[:, None], values), vectors)
    # Untouched where all is well, here and below: the decomposition costs digits.
    covariances = jnp.where(rank < d, lowered, covariances)
    unit = jnp.sqrt(floor[:, None] * floor[None])[None]
    values, vectors = jnp.linalg.eigh(covariances / unit)
    raised = _made(jnp.maximum(values, 1.0), vectors) * unit
    low = jnp.any(values < 1, axis=1)[:, None, None]
    return jnp.where(low, raised, covariances)


def _made(values: Float[Array, "k d"], vectors: Float[Array, "k d d"]) -> Float[Array, "k d d"]:
    return jnp.einsum("kij,kj,klj->kil", vectors, values, vectors, precision=HIGHEST)
