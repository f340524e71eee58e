"""What the tail of the weights says of their mean: its error, and what no draw has shown yet.

The k weights of one datum have a sum and a sum of squares, and above a cutoff they follow a
generalised Pareto law with shape xi (`pareto`). The squares of few draws miss that law's largest
values, so that those of the tail are its second moment instead, up to the quantile that one in 100
samples of this size reaches (for xi >= 1/2 the whole moment is infinite). Beyond the largest
weight seen there is, on average, the law's mean excess: `missing` says by how many nats it would
raise log p(x), up to the quantile of 10,000 times as many draws (for xi >= 1 it has no end).

Reference: Vehtari, Simpson, Gelman, Yao & Gabry 2024, arXiv 1507.02646 (the tail's law); Pickands
1975, Ann. Stat. 3(1) (why it is that one); Student 1908, Biometrika 6(1) (few draws).
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy import special

from tightbound.evidence.importance.pareto import fitted, standard_error, tail_length

SAMPLES = 100
"""Samples of this size, the largest weight of which bounds the second moment."""
MORE_DRAWS = 1e4
"""Times as many draws, the largest weight of which bounds what is missing."""
UPPER = 2.33
"""Standard errors above k-hat at its upper end, which it exceeds in one case of 100."""
_LEAST = 0.03
"""Shapes nearer to zero are told from it by rounding alone."""
_MOST = 3.0


class Tail(NamedTuple):
    """What the weights of one datum say of the log of their mean; nats."""

    stderr: Float[Array, ""]
    """Standard error, between 0 and 1, widened as Student's t for few draws; nan for one."""
    khat: Float[Array, ""]
    """Shape of the tail (see `pareto.Fit`)."""
    missing: Float[Array, ""]
    """How much the tail beyond the largest weight adds on average, by k-hat."""
    most_missing: Float[Array, ""]
    """The same by the upper end of k-hat."""


def tail(
    largest: Float[Array, " m_plus_1"],
    total: Float[Array, ""],
    squares: Float[Array, ""],
    k: int,
) -> Tail:
    """What the sums and the largest of k weights say.

    Args:
        largest: The m + 1 largest log-weights, ascending, with m of `tail_length(k)`.
        total: Sum of the weights, in units of the largest.
        squares: Sum of their squares, in the same units.
        k: Draws.
    """
    fit = fitted(largest)
    known = jnp.isfinite(fit.shape) & jnp.isfinite(fit.scale)
    shape = jnp.where(known, fit.shape, 1.0)
    scale = jnp.where(known, fit.scale, 0.0)
    m = tail_length(k)
    upper = shape + UPPER * standard_error(shape, k)
    seen = jnp.sum(fit.weights[1:] ** 2)
    of_law = m * _second_moment(_away_from_zero(shape), scale, fit.weights[0], SAMPLES * m)
    more = jnp.where(known & (shape > 0), jnp.maximum(of_law - seen, 0.0), 0.0)
    variance = jnp.maximum(k * (squares + more) / total**2 - 1, 0) / (k - 1 if k > 1 else jnp.nan)
    excess = (
        _excess(_away_from_zero(xi), scale, 1 - fit.weights[0]) / total for xi in (shape, upper)
    )
    missing, most = (jnp.log1p(jnp.where(known, value, 0.0)) for value in excess)
    # More than the log of a mean of k weights can err by is no number to show. Compiled, a minimum
    # may drop a NaN: where all weights are zero nothing is known, and that is said here.
    stderr = jnp.where(total > 0, jnp.minimum(widened(k) * jnp.sqrt(variance), 1.0), jnp.nan)
    return Tail(stderr, fit.shape, missing, most)


def widened(k: int) -> float:
    """How much longer than the normal's is the 95 % interval of Student's t from k draws."""
    return float(special.stdtrit(k - 1, 0.975) / special.ndtri(0.975)) if k > 1 else math.nan


def _away_from_zero(shape: Float[Array, ""]) -> Float[Array, ""]:
    """The shape, with a limit that its formulas have in zero taken near it."""
    size = jnp.clip(jnp.abs(shape), _LEAST, _MOST)
    return jnp.where(shape < 0, -size, size)


def _integral(power: Float[Array, ""], least: float) -> Float[Array, ""]:
    """The integral of p^-power from `least` to 1."""
    rest = 1 - power
    small = jnp.abs(rest) < 1e-3
    rest = jnp.where(small, 1.0, rest)
    value = -jnp.expm1(rest * math.log(least)) / rest
    return jnp.where(small, -math.log(least), value)


def _second_moment(
    shape: Float[Array, ""], scale: Float[Array, ""], cutoff: Float[Array, ""], most: int
) -> Float[Array, ""]:
    """Mean square of a weight of the tail, up to its quantile 1 - 1 / most."""
    per, least = scale / shape, 1 / most
    first = _integral(shape, least) - (1 - least)
    second = _integral(2 * shape, least) - 2 * first - (1 - least)
    return cutoff**2 + 2 * cutoff * per * first + per**2 * second


def _excess(
    shape: Float[Array, ""], scale: Float[Array, ""], above: Float[Array, ""]
) -> Float[Array, ""]:
    """What k draws miss of their sum: the mean excess over the largest, `above` the cutoff."""
    there = jnp.maximum(scale + shape * above, 0.0)
    least = 1 / MORE_DRAWS
    return there / shape * (_integral(shape, least) - (1 - least))
