"""The integral of p(x, z) over one or two latent dimensions, by the trapezoidal rule.

The grid is z = mean + L sinh(t) with t even in [-6, 6]: dense near the posterior's mean, and out
to 200 of its standard deviations. The posterior's mean and its covariance L L' come from coarser
grids before. For smooth densities the rule's error falls faster than any power of the spacing
(Trefethen & Weideman 2014, SIAM Review 56(3)), so that every other point alone, and every third,
show how much is wrong: features finer than the grid fool one of them, and hardly both. What lies
beyond the grid is bounded by going on as the outermost two points do: a geometric series in t.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tightbound.distributions.triangular import cholesky

REACH = 6.0
"""Largest |t|: sinh(6) is about 200."""
PASSES = 4
"""Coarse grids that look for the posterior before the fine one."""
COARSE = 127
STRIDES = (2, 3)
"""Coarser grids within a grid."""
ROUNDINGS = 2**12
"""Roundings of the log-density at its peak that count as error: it is a sum of parts that may be
larger than itself, such as log-gamma functions."""

LogDensity = Callable[[Float[Array, " dim"]], Float[Array, ""]]


class Integral(NamedTuple):
    """An integral, and whether it can be trusted."""

    log_z: Float[Array, ""]
    """In nats."""
    error: Float[Array, ""]
    """How far it may be off: twice what coarser grids are, and what lies beyond the grid, and twice
    what the check is off, and rounding."""
    undefined: Bool[Array, ""]
    """Whether the log-density is NaN or +inf somewhere on the grid."""
    where: Float[Array, " dim"]
    """The first such z."""


class _Grid(NamedTuple):
    log_z: Float[Array, ""]
    coarser: Float[Array, " s"]
    beyond: Float[Array, ""]
    """Log of what lies outside of the grid, as a share of the integral plus one."""
    peak: Float[Array, ""]
    undefined: Bool[Array, ""]
    where: Float[Array, " dim"]
    mean: Float[Array, " dim"]
    factor: Float[Array, "dim dim"]


def integral(
    log_density: LogDensity, dim: int, points: int, check: LogDensity | None = None
) -> Integral:
    """Log of the integral in nats, and how far it may be off.

    Args:
        log_density: Of one z of shape (dim,), in nats.
        dim: 1 or 2.
        points: Grid points in each dimension, one more than a multiple of 6. Memory grows with
            them, and time with their power of dim.
        check: The same density in another way, where rounding in the model may matter: twice the
            difference of both integrals counts as error.
    """

    def look(_: Any, at: tuple[Any, Any]) -> tuple[Any, Any]:
        coarse = _on_grid(log_density, *at, COARSE)
        return coarse.mean, coarse.factor

    mean, factor = jax.lax.fori_loop(0, PASSES, look, (jnp.zeros(dim), jnp.eye(dim)))
    fine = _on_grid(log_density, mean, factor, points)
    error = 2 * jnp.max(jnp.abs(fine.log_z - fine.coarser)) + fine.beyond
    if check is not None:
        error = error + 2 * jnp.abs(_on_grid(check, mean, factor, points).log_z - fine.log_z)
    rounding = ROUNDINGS * jnp.finfo(fine.log_z.dtype).eps * (1 + jnp.abs(fine.peak))
    return Integral(fine.log_z, error + rounding, fine.undefined, fine.where)


def _on_grid(
    log_density: LogDensity,
    mean: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
    points: int,
) -> _Grid:
    """Log-integral on the grid and on those within it, and mean and factor of the mass."""
    dim = mean.shape[0]
    t = jnp.linspace(-REACH, REACH, points)
    step = t[1] - t[0]
    log_jacobian = jnp.log(jnp.cosh(t))
    u = jnp.sinh(t)
    last = jnp.arange(points)

    def at(whitened: Float[Array, " dim"]) -> Float[Array, ""]:
        return log_density(mean + factor @ whitened)

    def row(_: Any, i: Any) -> tuple[None, Any]:
        """All points with the same first coordinate, or with none."""
        first = jnp.broadcast_to(u[i], (points, dim - 1))
        grid = jnp.concatenate([first, u[:, None]], axis=1)
        log_f = jax.vmap(at)(grid)
        undefined = jnp.isnan(log_f) | (log_f == jnp.inf)
        where = grid[jnp.argmax(undefined)]
        # For the search of the mass only: an undefined density is refused in the end.
        log_f = jnp.where(undefined, -jnp.inf, log_f)
        peak = jnp.max(log_f)
        log_f = log_f + log_jacobian + (log_jacobian[i] if dim == 2 else 0.0)
        log_sum, weight = _summed(log_f)
        moments = weight @ grid, (grid * weight[:, None]).T @ grid
        within = [_summed(jnp.where(last % s == 0, log_f, -jnp.inf))[0] for s in STRIDES]
        ends = jnp.stack([log_f[0], log_f[1], log_f[-2], log_f[-1]])
        return None, (
            log_sum,
            jnp.stack(within),
            *moments,
            ends,
            peak,
            jnp.any(undefined),
            where,
        )

    rows = jnp.arange(points) if dim == 2 else jnp.zeros(1, jnp.int32)
    _, found = jax.lax.scan(row, None, rows)
    log_sums, within, firsts, seconds, ends, peaks, undefined, places = found
    log_volume = dim * jnp.log(step) + jnp.sum(jnp.log(jnp.diagonal(factor)))
    total, share = _summed(log_sums)
    centre = share @ firsts
    spread = jnp.tensordot(share, seconds, 1) - jnp.outer(centre, centre)
    # No narrower than the grid shows: between a point that holds all mass and its neighbours
    # nothing has been seen.
    spread = spread + jnp.diag((step * jnp.sqrt(1 + centre**2)) ** 2)
    coarser = jnp.stack(
        [
            _summed(within[::stride, number])[0] + dim * jnp.log(float(stride))
            for number, stride in enumerate(STRIDES)
        ]
    )
    borders = [jax.nn.logsumexp(ends, axis=0)]
    if dim == 2:
        borders.append(jnp.stack([log_sums[0], log_sums[1], log_sums[-2], log_sums[-1]]))
    return _Grid(
        total + log_volume,
        coarser + log_volume,
        _beyond(borders, jnp.where(total == -jnp.inf, 0.0, total)),
        jnp.max(peaks),
        jnp.any(undefined),
        mean + factor @ places[jnp.argmax(undefined)],
        mean + factor @ centre,
        factor @ cholesky(spread),
    )


def _beyond(borders: list[Float[Array, " four"]], origin: Float[Array, ""]) -> Float[Array, ""]:
    """Log of one plus the share of the integral that lies beyond the outermost points."""

    def of_end(last: Any, before: Any) -> Any:
        share = jnp.exp(last - origin)
        ratio = jnp.exp(jnp.where(last == -jnp.inf, -1.0, last - before))
        rest = jnp.where(ratio < 1, share * ratio / (1 - ratio), jnp.inf)
        # What rises towards the end, and is nothing there, has all but certainly been rounded.
        return jnp.where(share < jnp.finfo(share.dtype).eps ** 2, 0.0, rest)

    return jnp.log1p(sum(of_end(of[0], of[1]) + of_end(of[3], of[2]) for of in borders))


def _summed(log_f: Float[Array, " m"]) -> tuple[Float[Array, ""], Float[Array, " m"]]:
    """Log of the sum of exponentials, and each one's share of it.

    Far out a log-density may be -1e9, where one rounding more or less is a factor of e^100: no
    term may come out above the largest.
    """
    peak = jnp.max(log_f)
    origin = jnp.where(peak == -jnp.inf, 0.0, peak)
    terms = jnp.exp(jnp.minimum(log_f - origin, 0.0))
    total = jnp.sum(terms)
    return jnp.log(total) + origin, terms / jnp.maximum(total, 1.0)
