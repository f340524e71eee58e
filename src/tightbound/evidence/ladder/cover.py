"""A mixture that covers what climbs and chains have found of a density.

Where the density is much larger than the mixture says, a component is added there: normal
approximations at modes, and on ridges and in funnels, which have none, at points on the way. Their
scales are those at which the density has fallen by half a nat on average of both sides, which no
flat or steep Hessian misleads.

Reference: Gelman et al. 2013, Bayesian Data Analysis, section 13.3 (mixtures at modes); Hesse et
al. 2016, arXiv 1612.06468 and Bornkamp 2011, JCGS 20(3) (iterated Laplace approximations).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.compilation import filter_jit
from tightbound.distributions import StudentMixture
from tightbound.evidence.ladder.units import Units

MOST = 128
"""Components."""
DOF = 6
"""Least degrees of freedom of each."""
DIMS = 2
"""Dimensions for each degree of freedom, where these are many: of laws with few, radii vary so much
in many dimensions that weights of a normal density are uneven."""
FLOOR = 0.3
"""Share of the mixture that is spread evenly: a mass that is misjudged is still drawn from."""
UNCOVERED = 4.0
"""Nats by which the density exceeds the mixture where a component is missing."""
NEGLIGIBLE = 7.0
"""Nats by which a component's mass may be below all mass without being kept."""
WIDEST = 3.0
"""Largest factor by which a look at the density changes a scale."""
LOOKS = 2
AT_ONCE = 8
"""Points whose curvature is asked for together."""


class One(NamedTuple):
    """A component as arrays of length one, and the number of its point."""

    number: int
    location: Float[np.ndarray, "1 d"]
    factor: Float[np.ndarray, "1 d d"]
    log_mass: Float[np.ndarray, " 1"]


class Added(NamedTuple):
    """What became of points that were not covered."""

    cover: "Cover"
    hessians: int
    left: bool
    """Whether the mixture had no place left for one of them that it wanted."""


Values = Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, " n"]]


class Cover(NamedTuple):
    """Components in units u, as float64 on the host."""

    location: Float[np.ndarray, "c d"]
    factor: Float[np.ndarray, "c d d"]
    log_mass: Float[np.ndarray, " c"]
    """Log of the integral that a normal density of the component's height and scales has."""

    @staticmethod
    def nothing(dim: int) -> "Cover":
        """No components."""
        return Cover(np.zeros((0, dim)), np.zeros((0, dim, dim)), np.zeros(0))

    @property
    def total(self) -> float:
        """Log of all mass: a first, rough log p(x)."""
        return float(np.logaddexp.reduce(self.log_mass)) if len(self.log_mass) else -np.inf

    @property
    def share(self) -> Float[np.ndarray, " c"]:
        """Shares of the mixture."""
        own = np.exp(self.log_mass - self.total)
        return (1 - FLOOR) * own + FLOOR / len(own)

    @property
    def dof(self) -> int:
        """Degrees of freedom of each component."""
        return max(DOF, self.location.shape[1] // DIMS)

    @property
    def mixture(self) -> StudentMixture:
        """The proposal."""
        return StudentMixture.of(
            self.share, self.location, self.factor, dof=self.dof, components=MOST
        )

    def log_each(self, u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """Log of share times density of each component, in nats, at n points."""
        # Filled up, so that few programs are compiled.
        size = 1 << max(5, (len(u) - 1).bit_length())
        filled = np.concatenate([u, np.repeat(u[-1:], size - len(u), axis=0)])
        each = _log_each(self.mixture, jnp.asarray(filled, jnp.float32))
        return np.asarray(each, np.float64)[: len(u), : len(self.log_mass)]

    def log_prob(self, u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Log-density of the mixture, in nats, at n points."""
        return np.logaddexp.reduce(self.log_each(u), axis=1)

    def moments(self) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
        """Mean and covariance, if components were normal."""
        mean = self.share @ self.location
        away = self.location - mean
        within = np.einsum("c,cij,ckj->ik", self.share, self.factor, self.factor)
        return mean, within + np.einsum("c,ci,cj->ij", self.share, away, away)


def added(
    cover: Cover,
    units: Units,
    values: Values,
    u: Float[np.ndarray, "n d"],
    log_density: Float[np.ndarray, " n"],
    *,
    widest: float,
    beyond: float = UNCOVERED,
) -> Added:
    """The cover with components at those of n points that it did not cover.

    Args:
        cover: What is covered.
        units: What u is.
        values: Log-density of points, for scales.
        u: Points.
        log_density: Of each of them, in nats; those that are not finite are left out.
        widest: Largest scale in any direction, where the density does not say.
        beyond: Nats by which the density exceeds the mixture at a point that is not covered.
    """
    known = np.isfinite(log_density)
    u, log_density = u[known], log_density[known]
    hessians, left = 0, False
    while len(u) and not left:
        u, log_density = _uncovered(cover, u, log_density, beyond)
        first = _apart(u, np.argsort(-log_density)[: 4 * AT_ONCE])[:AT_ONCE]
        hessians += len(first)
        before = len(cover.log_mass)
        for one in _normal(units, values, u[first], log_density[first], widest, cover.total):
            point = (one.location, log_density[first][one.number : one.number + 1])
            if not len(_uncovered(cover, *point, beyond)[0]):
                continue
            if len(cover.log_mass) == MOST:
                left = True
                break
            cover = Cover(*map(np.concatenate, zip(cover, one[1:], strict=True)))
        if len(cover.log_mass) == before:
            break
        rest = np.setdiff1d(np.arange(len(u)), first)
        u, log_density = u[rest], log_density[rest]
    return Added(cover, hessians, left)


def _uncovered(
    cover: Cover,
    u: Float[np.ndarray, "n d"],
    log_density: Float[np.ndarray, " n"],
    beyond: float,
) -> tuple[Float[np.ndarray, "m d"], Float[np.ndarray, " m"]]:
    """Those of the points that are not covered; all of them at first."""
    if not len(cover.log_mass) or not len(u):
        return u, log_density
    far = log_density - cover.log_prob(u) - cover.total > beyond
    return u[far], log_density[far]


@filter_jit
def _log_each(mixture: StudentMixture, u: Float[Array, "n d"]) -> Float[Array, "n c"]:
    return jax.vmap(mixture.log_each)(u)


def _apart(u: Float[np.ndarray, "n d"], order: np.ndarray) -> np.ndarray:
    """Those of the points, in this order, that are not the same point again."""
    kept: list[int] = []
    for i in order:
        if all(np.linalg.norm(u[i] - u[j]) > 0.05 for j in kept):
            kept.append(int(i))
    return np.asarray(kept, int)


def _normal(
    units: Units,
    values: Values,
    u: Float[np.ndarray, "n d"],
    log_density: Float[np.ndarray, " n"],
    widest: float,
    total: float,
) -> list[One]:
    """Normal approximations at n points, those with the most mass first, without small ones."""
    if not len(u):
        return []
    filled = np.concatenate([u, np.repeat(u[-1:], AT_ONCE - len(u), axis=0)])
    hessian = np.asarray(_hessians(units, jnp.asarray(filled, jnp.float32)), np.float64)[: len(u)]
    hessian = np.where(np.isfinite(hessian), hessian, 0.0)
    # Of a curvature upwards the size still says how far the density changes little.
    curvature, axes = np.linalg.eigh((hessian + np.swapaxes(hessian, 1, 2)) / 2)
    scale = 1 / np.sqrt(np.maximum(np.abs(curvature), widest**-2))
    d = u.shape[1]
    numbers = np.arange(len(u))
    for look in range(LOOKS + 1):
        volume = np.sum(np.log(scale), axis=1) + d / 2 * np.log(2 * np.pi)
        worth = log_density[numbers] + volume > total - NEGLIGIBLE
        numbers, scale, axes = numbers[worth], scale[worth], axes[worth]
        if look == LOOKS or not len(numbers):
            break
        steps = np.swapaxes(axes * scale[:, None, :], 1, 2)
        middle, height = u[numbers][:, None], log_density[numbers][:, None]
        points = np.stack([middle + steps, middle - steps], axis=1)
        beside = values(points.reshape(-1, d)).reshape(-1, 2, d)
        beside = np.where(np.isfinite(beside), beside, height[:, None] - 100)
        fall = np.maximum(height - np.mean(beside, axis=1), 0.5 / WIDEST**2)
        scale = np.minimum(scale * np.clip(np.sqrt(0.5 / fall), 0.1, WIDEST), widest)
    log_mass = log_density[numbers] + np.sum(np.log(scale), axis=1) + d / 2 * np.log(2 * np.pi)
    factor = axes * scale[:, None, :]
    return [
        One(int(numbers[i]), u[numbers[i]][None], factor[i][None], log_mass[i][None])
        for i in np.argsort(-log_mass)
    ]


@filter_jit
def _hessians(units: Units, u: Float[Array, "n d"]) -> Float[Array, "n d d"]:
    return jax.lax.map(jax.hessian(units.log_density), u)
