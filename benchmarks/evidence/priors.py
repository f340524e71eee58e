"""Priors as maps from the unit cube, by quantiles in closed form, and their inverses.

Every quantile here is elementary, so that the same map runs in NumPy and in JAX.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike
from scipy import special


@dataclass(frozen=True)
class Prior:
    """A law of `dim` parameters: `transform` of a uniform point of the cube has it.

    `transform(u, xp)` takes (*batch, dim) to (*batch, dim), with `numpy` or `jax.numpy`; `cdf` is
    its inverse, in NumPy. Parameter i depends on the first i coordinates alone.
    """

    dim: int
    transform: Callable[[Any, ModuleType], Any]
    cdf: Callable[[np.ndarray], np.ndarray]


def box(low: ArrayLike, high: ArrayLike, dim: int) -> Prior:
    """Uniform between `low` and `high`, numbers or one for each parameter."""
    low, width = np.asarray(low, float), np.subtract(high, low).astype(float)
    return Prior(dim, lambda u, xp: low + width * u, lambda x: (x - low) / width)


def normal(mean: ArrayLike, scale: ArrayLike, dim: int) -> Prior:
    """Independent normals."""
    mean, scale = np.asarray(mean, float), np.asarray(scale, float)
    return Prior(
        dim,
        lambda u, xp: mean + scale * _ndtri(xp)(u),
        lambda x: special.ndtr((x - mean) / scale),
    )


def lognormal(mean: float, scale: float, dim: int) -> Prior:
    """The logarithm is normal."""
    inner = normal(mean, scale, dim)
    return Prior(dim, lambda u, xp: xp.exp(inner.transform(u, xp)), lambda x: inner.cdf(np.log(x)))


def exponential(rate: float, dim: int) -> Prior:
    """Exponentials: gammas of shape 1."""
    return Prior(dim, lambda u, xp: -xp.log1p(-u) / rate, lambda x: -np.expm1(-rate * x))


def half_normal(scale: float, dim: int) -> Prior:
    """The absolute value of a normal."""
    return Prior(
        dim,
        lambda u, xp: scale * _ndtri(xp)((1 + u) / 2),
        lambda x: special.erf(x / (scale * np.sqrt(2))),
    )


def half_cauchy(scale: float, dim: int) -> Prior:
    """The absolute value of a Cauchy variable."""
    return Prior(
        dim,
        lambda u, xp: scale * xp.tan(0.5 * np.pi * u),
        lambda x: np.arctan(x / scale) / (0.5 * np.pi),
    )


def cauchy(scale: float, dim: int) -> Prior:
    """Independent Cauchy variables."""
    return Prior(
        dim,
        lambda u, xp: scale * xp.tan(np.pi * (u - 0.5)),
        lambda x: 0.5 + np.arctan(x / scale) / np.pi,
    )


def beta_of_one(b: float, dim: int) -> Prior:
    """Beta(1, b), the beta distributions with a quantile in closed form."""
    return Prior(dim, lambda u, xp: 1 - (1 - u) ** (1 / b), lambda x: 1 - (1 - x) ** b)


def flat_simplex(dim: int) -> Prior:
    """The first `dim` of `dim` + 1 shares with a Dirichlet(1, ..., 1) law, by breaking a stick."""
    left = np.arange(dim, 0, -1)

    def transform(u: Any, xp: ModuleType) -> Any:
        kept = (1 - u) ** (1 / left)
        before = xp.concatenate([xp.ones_like(u[..., :1]), xp.cumprod(kept, axis=-1)], axis=-1)
        return before[..., :-1] * (1 - kept)

    def cdf(x: np.ndarray) -> np.ndarray:
        rest = 1 - np.cumsum(x, axis=-1) + x
        return 1 - (1 - x / rest) ** left

    return Prior(dim, transform, cdf)


def chain(*parts: Prior) -> Prior:
    """Independent priors one after another."""
    cuts = np.cumsum([part.dim for part in parts])[:-1]

    def transform(u: Any, xp: ModuleType) -> Any:
        pieces = zip(parts, xp.split(u, cuts, axis=-1), strict=True)
        return xp.concatenate([part.transform(piece, xp) for part, piece in pieces], axis=-1)

    def cdf(x: np.ndarray) -> np.ndarray:
        pieces = zip(parts, np.split(x, cuts, axis=-1), strict=True)
        return np.concatenate([part.cdf(piece) for part, piece in pieces], axis=-1)

    return Prior(sum(part.dim for part in parts), transform, cdf)


def _ndtri(xp: ModuleType) -> Callable[[Any], Any]:
    return special.ndtri if xp is np else jax.scipy.special.ndtri
