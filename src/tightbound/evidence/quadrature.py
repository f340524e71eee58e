"""The integral of p(x, z) over one or two latent dimensions, by the trapezoidal rule.

The grid is z = mean + L sinh(t) with t even in [-6, 6]: dense near the posterior's mean, and out
to 200 of its standard deviations. The posterior's mean and its covariance L L' come from coarser
grids before. For smooth densities the rule's error falls faster than any power of the spacing
(Trefethen & Weideman 2014, SIAM Review 56(3)), so that every other point alone, and every third,
show how much is wrong: features finer than the grid fool one of them, and hardly both.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

REACH = 6.0
"""Largest |t|: sinh(6) is about 200."""
PASSES = 4
"""Coarse grids that look for the posterior before the fine one."""
COARSE = 127
STRIDES = (2, 3)
"""Coarser grids within a grid."""

LogDensity = Callable[[Float[Array, " dim"]], Float[Array, ""]]


def integral(
    log_density: LogDensity, dim: int, points: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Log of the integral in nats, and how far the coarser grids within the grid are from it.

    Args:
        log_density: Of one z of shape (dim,), in nats.
        dim: 1 or 2.
        points: Grid points in each dimension, one more than a multiple of 6. Memory grows with
            them, and time with their power of dim.
    """
    mean, factor = jnp.zeros(dim), jnp.eye(dim)
    for _ in range(PASSES):
        _, _, mean, factor = _on_grid(log_density, mean, factor, COARSE)
    fine, coarser, _, _ = _on_grid(log_density, mean, factor, points)
    return fine, jnp.max(jnp.abs(fine - coarser))


def _on_grid(
    log_density: LogDensity,
    mean: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
    points: int,
) -> tuple[Any, Any, Any, Any]:
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
        log_f = jax.vmap(at)(grid) + log_jacobian
        log_f = jnp.where(jnp.isnan(log_f), -jnp.inf, log_f)
        log_f = log_f + (log_jacobian[i] if dim == 2 else 0.0)
        log_sum, weight = _summed(log_f)
        moments = weight @ grid, (grid * weight[:, None]).T @ grid
        within = [_summed(jnp.where(last % s == 0, log_f, -jnp.inf))[0] for s in STRIDES]
        return None, (log_sum, jnp.stack(within), *moments)

    rows = jnp.arange(points) if dim == 2 else jnp.zeros(1, jnp.int32)
    _, (log_sums, within, firsts, seconds) = jax.lax.scan(row, None, rows)
    log_volume = dim * jnp.log(step) + jnp.linalg.slogdet(factor)[1]
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
    return (
        total + log_volume,
        coarser + log_volume,
        mean + factor @ centre,
        factor @ jnp.linalg.cholesky(spread),
    )


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
