"""Pareto k-hat: the shape of the tail of importance weights.

Reference: Vehtari, Simpson, Gelman, Yao & Gabry 2024, arXiv 1507.02646; the fit is that of
Zhang & Stephens 2009, with the prior of the former's appendix.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SMALLEST_TAIL = 5
"""Fewer exceedances than that tell nothing."""
ROUNDING = 1e-3
"""Log-weights that differ by less are equal: sums of hundreds of terms err by 1e-4 in float32."""


def tail_length(k: int) -> int:
    """How many of k weights make the tail: min(k/5, 3 sqrt(k)), rounded up."""
    return math.ceil(min(0.2 * k, 3 * math.sqrt(k)))


def threshold(k: int) -> float:
    """k-hat beyond which k weights are too few: min(1 - 1/log10(k), 0.7); 0.7 for k > 2154."""
    return min(1 - 1 / math.log10(k), 0.7)


class Fit(NamedTuple):
    """A generalised Pareto law of what weights exceed a cutoff by."""

    shape: Float[Array, ""]
    """k-hat; the weights have 1/k-hat finite moments. -inf if all are equal up to rounding (bounded
    weights), nan if the tail is too short to tell or not finite."""
    scale: Float[Array, ""]
    """In units of the largest weight."""
    weights: Float[Array, " m_plus_1"]
    """The cutoff and what is above it, in the same units, ascending."""


def fitted(largest: Float[Array, " m_plus_1"]) -> Fit:
    """The law of the tail from the m + 1 largest log-weights of one datum, in ascending order.

    Args:
        largest: The tail above the smallest entry, which is the cutoff.
    """
    m = largest.shape[0] - 1
    w = jnp.exp(largest - jnp.where(jnp.isfinite(largest[-1]), largest[-1], 0.0))
    if m < SMALLEST_TAIL:
        return Fit(jnp.array(jnp.nan, w.dtype), jnp.array(jnp.nan, w.dtype), w)
    exceedances = jnp.maximum(w[1:] - w[0], jnp.finfo(w.dtype).tiny)
    shape, scale = _generalised_pareto(exceedances)
    shape = jnp.where(largest[-1] - largest[0] < ROUNDING, -jnp.inf, shape)
    return Fit(jnp.where(jnp.all(jnp.isfinite(largest)), shape, jnp.nan), scale, w)


def khat(largest: Float[Array, " m_plus_1"]) -> Float[Array, ""]:
    """The tail's shape alone: see `Fit`."""
    return fitted(largest).shape


def standard_error(shape: Any, k: int) -> Any:
    """Standard error of k-hat from k draws, (1 + k-hat) / sqrt(m).

    It is that of the fit without its prior (Smith 1987, Ann. Stat. 15(3)): the prior makes k-hat
    vary less, and draws it towards 1/2 by as much.
    """
    return (1 + shape).clip(0) / math.sqrt(tail_length(k))


def _generalised_pareto(x: Float[Array, " m"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Zhang & Stephens' shape from ascending positive x, shrunk towards 1/2 as ten draws; scale."""
    m = x.shape[0]
    grid = 30 + int(math.sqrt(m))
    quartile = x[int(m / 4 + 0.5) - 1]
    theta = 1 - jnp.sqrt(grid / (jnp.arange(1, grid + 1, dtype=x.dtype) - 0.5))
    theta = theta / (3 * quartile) + 1 / x[-1]
    # One after another: a table of grid times tail would be the largest thing in memory.
    shape = jax.lax.map(lambda theta: jnp.mean(jnp.log1p(-theta * x)), theta)
    profile = m * (jnp.log(-theta / shape) - shape - 1)
    weight = jnp.exp(profile - jnp.max(profile))
    theta_hat = jnp.sum(theta * weight) / jnp.sum(weight)
    shape_hat = jnp.mean(jnp.log1p(-theta_hat * x))
    return (m * shape_hat + 5) / (m + 10), -shape_hat / theta_hat
