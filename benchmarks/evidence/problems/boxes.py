"""Likelihoods on boxes, by which nested samplers are tested."""

from types import ModuleType
from typing import Any

import numpy as np
from scipy import integrate, special, stats

from benchmarks.evidence.posing import log_normal_density, log_sum_exp, normals, on_box
from benchmarks.evidence.problem import LogLikelihood, Problem


def eggbox(x: Any, xp: ModuleType) -> Any:
    return (2 + xp.cos(x[..., 0] / 2) * xp.cos(x[..., 1] / 2)) ** 5


def shells(x: Any, xp: ModuleType) -> Any:
    """Radius 2, width 0.1, centres (+-3.5, 0)."""
    centres = np.array([[-3.5, 0.0], [3.5, 0.0]])
    # The tiny number keeps the gradient of the square root finite in the centre.
    radius = xp.sqrt(xp.sum((x[..., None, :] - centres) ** 2, axis=-1) + 1e-12)
    return log_sum_exp(log_normal_density(radius, 2.0, 0.1), xp)


def rosenbrock(factor: float) -> LogLikelihood:
    def likelihood(x: Any, xp: ModuleType) -> Any:
        del xp
        return -factor * (100 * (x[..., 1] - x[..., 0] ** 2) ** 2 + (1 - x[..., 0]) ** 2)

    return likelihood


def rosenbrock_log_z(factor: float, reach: float) -> float:
    """The inner integral in closed form, the outer one by quadrature."""
    scale = 1 / np.sqrt(200 * factor)

    def outer(x: float) -> float:
        within = special.ndtr((reach - x**2) / scale) - special.ndtr((-reach - x**2) / scale)
        return np.exp(-factor * (1 - x) ** 2) * within * scale * np.sqrt(2 * np.pi)

    bends = [-np.sqrt(reach), 1.0, np.sqrt(reach)]
    area = integrate.quad(outer, -reach, reach, points=bends, epsabs=0, epsrel=1e-11, limit=500)[0]
    return float(np.log(area) - 2 * np.log(2 * reach))


CORRELATED = np.full((3, 3), 0.95) + 0.05 * np.eye(3)

WIDTH = 1 / 30


def loggammas(dim: int) -> LogLikelihood:
    """Feroz et al. 2013, arXiv 1306.2144: four modes, half of the dimensions skewed."""
    skewed = (dim + 2) // 2

    def log_gamma(x: Any, place: float, xp: ModuleType) -> Any:
        y = (x - place) / WIDTH
        return y - xp.exp(y) - np.log(WIDTH)

    def likelihood(x: Any, xp: ModuleType) -> Any:
        first = xp.stack([log_gamma(x[..., 0], at, xp) for at in (1 / 3, 2 / 3)], axis=-1)
        second = xp.stack(
            [log_normal_density(x[..., 1], at, WIDTH) for at in (1 / 3, 2 / 3)], axis=-1
        )
        return (
            log_sum_exp(first + np.log(0.5), xp)
            + log_sum_exp(second + np.log(0.5), xp)
            + xp.sum(log_gamma(x[..., 2 : skewed + 1], 2 / 3, xp), axis=-1)
            + xp.sum(log_normal_density(x[..., skewed + 1 :], 2 / 3, WIDTH), axis=-1)
        )

    return likelihood


def loggammas_log_z(dim: int) -> float:
    """0, less what lies outside the unit cube (2e-5 nats)."""
    skewed = (dim + 2) // 2

    def mass(law: Any) -> float:
        return law.cdf(1) - law.cdf(0)

    gammas = [mass(stats.loggamma(1, loc=at, scale=WIDTH)) for at in (1 / 3, 2 / 3)]
    bells = [mass(stats.norm(at, WIDTH)) for at in (1 / 3, 2 / 3)]
    last = min(skewed + 1, dim)
    rest = (last - 2) * np.log(gammas[1]) + (dim - last) * np.log(bells[1])
    return float(np.log(np.mean(gammas)) + np.log(np.mean(bells)) + rest)


UNIT = (0.0, 1.0)

PROBLEMS: list[Problem] = [
    on_box("eggbox", (0.0, 10 * np.pi, 2), eggbox, 235.855940, "quadrature on a grid; Feroz 2009"),
    on_box("two-shells", (-6.0, 6.0, 2), shells, -1.745642, "quadrature on a grid; Feroz 2009"),
    on_box(
        "correlated-normal-3",
        (-10.0, 10.0, 3),
        normals([[-1.0, 0.0, 1.0]], [CORRELATED], [1.0]),
        -3 * np.log(20),
        "closed form",
        smooth=True,
    ),
    on_box(
        "rosenbrock-half",
        (-10.0, 10.0, 2),
        rosenbrock(0.5),
        rosenbrock_log_z(0.5, 10),
        "quadrature: -6.471617",
        smooth=True,
    ),
    on_box(
        "rosenbrock-twice",
        (-10.0, 10.0, 2),
        rosenbrock(2),
        rosenbrock_log_z(2, 10),
        "quadrature: -7.842475",
        smooth=True,
        held=True,
    ),
    *(
        on_box(
            f"loggamma-{dim}",
            (*UNIT, dim),
            loggammas(dim),
            loggammas_log_z(dim),
            "closed form; Feroz 2013",
            held=dim in (5, 20),
        )
        for dim in (2, 5, 10, 20)
    ),
]
