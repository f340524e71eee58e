"""Unnormalised densities on R^dim, without a prior."""

from types import ModuleType
from typing import Any

import numpy as np
from scipy import integrate, special

from benchmarks.evidence.posing import LOG_2PI, bare, log_normal_density, normals
from benchmarks.evidence.problem import LogLikelihood, Problem


def log_gamma(x: Any, xp: ModuleType) -> Any:
    """The logarithm of a gamma variable of shape 5 and rate 10, without its constant."""
    return xp.sum(5 * x - 10 * xp.exp(x), axis=-1)


def funnel(x: Any, xp: ModuleType) -> Any:
    """Neal 2003: v ~ N(0, 3^2), nine x ~ N(0, e^v)."""
    v, rest = x[..., 0], x[..., 1:]
    across = -0.5 * (xp.exp(-v) * xp.sum(rest**2, axis=-1) + 9 * (v + LOG_2PI))
    return log_normal_density(v, 0.0, 3.0) + across


def banana(x: Any, xp: ModuleType) -> Any:
    """B = 10, eta = (4, 3.5, 3.5)."""
    bend = (4 - 10 * x[..., 0] - x[..., 1] ** 2) ** 2 / 32
    return -bend - xp.sum(x**2, axis=-1) / (2 * 3.5**2)


def banana_log_z() -> float:
    """The first variable in closed form, given the second; that by quadrature."""
    precision = 100 / 16 + 1 / 3.5**2

    def outer(y: float) -> float:
        c = 4 - y**2
        slope = 10 * c / 16
        rest = 0.5 * slope**2 / precision - 0.5 * c**2 / 16 - 0.5 * (y / 3.5) ** 2
        return np.exp(rest) * np.sqrt(2 * np.pi / precision)

    return float(np.log(integrate.quad(outer, -np.inf, np.inf, epsabs=0, epsrel=1e-11)[0]))


def twisted(x: Any, xp: ModuleType) -> Any:
    """Haario's twisted normal: standard deviation 10 in the first variable, b = 0.03."""
    second = x[..., 1] + 0.03 * (x[..., 0] ** 2 - 100)
    rest = xp.sum(log_normal_density(x[..., 2:], 0.0, 1.0), axis=-1)
    return log_normal_density(x[..., 0], 0.0, 10.0) + log_normal_density(second, 0.0, 1.0) + rest


def twisted_reach(dim: int) -> tuple[np.ndarray, np.ndarray, int]:
    return np.array([-45, -65, *[-6] * (dim - 2)]), np.array([45, 10, *[6] * (dim - 2)]), dim


def wells(x: Any, xp: ModuleType) -> Any:
    """Pairs of dimensions: a double well and a normal."""
    a, b = x[..., ::2], x[..., 1::2]
    return xp.sum(0.5 * a + 6 * a**2 - a**4 - 0.5 * b**2, axis=-1)


def wells_log_z(pairs: int) -> float:
    area = sum(
        integrate.quad(lambda a: np.exp(0.5 * a + 6 * a**2 - a**4), *side, epsabs=0)[0]
        for side in ((-5, 0), (0, 5))
    )
    return float(pairs * (np.log(area) + 0.5 * LOG_2PI))


def student_t(x: Any, xp: ModuleType) -> Any:
    """Independent Student variables with three degrees of freedom, times 1, 2, ..., 10."""
    scale = np.arange(1.0, 11.0)
    constant = special.gammaln(2) - special.gammaln(1.5) - 0.5 * np.log(3 * np.pi)
    return xp.sum(constant - np.log(scale) - 2 * xp.log1p((x / scale) ** 2 / 3), axis=-1)


FIVE_MEANS = np.array([(-10, -10), (0, 16), (13, 8), (-9, 7), (14, -14)])
FIVE_COVARIANCES = np.array(
    [
        [[2, 0.6], [0.6, 1]],
        [[2, -0.4], [-0.4, 2]],
        [[2, 0.8], [0.8, 2]],
        [[3, 0], [0, 0.5]],
        [[2, -0.1], [-0.1, 2]],
    ]
)
GRID = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)])
_RNG = np.random.default_rng(40)
FORTY_MEANS = _RNG.uniform(-40, 40, (40, 2))
TWO_DECADES = 10.0 ** _RNG.uniform(-1, 1, 20)


def grid(distance: float, scale: float, weights: Any) -> LogLikelihood:
    """Three by three normals."""
    shares = np.asarray(weights, float) / np.sum(weights)
    return normals(GRID * distance, [np.eye(2) * scale**2] * 9, shares)


CLOSED = "closed form"
WELLS = "quadrature of one pair: 10.293480"
LIU = (
    np.array([0.0, 3, -3])[:, None] * np.ones(4),
    [2 * np.eye(4), np.eye(4), np.diag([2, 1, 1, 0.5])],
    [1, 2, 1.5],
)
STRETCHED = (
    [np.arange(20.0) - 10],
    [
        0.7 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
        * np.outer(TWO_DECADES, TWO_DECADES)
    ],
    [1.0],
)
"""In 20 dimensions, correlated, with standard deviations over two decades."""
PYPMC = (
    [[5, 0.01], [-4, 1]],
    [[[0.01, 0.003], [0.003, 0.0025]], [[0.1, 0], [0, 0.02]]],
    [0.7, 0.3],
)
THREE = (np.array([-5.0, 6, 3])[:, None] * np.ones(10), [64 * np.eye(10)] * 3, np.full(3, 1 / 3))

PROBLEMS: list[Problem] = [
    bare(
        "log-gamma",
        log_gamma,
        (-10.0, 2.0, 1),
        float(special.gammaln(5) - 5 * np.log(10)),
        "closed form: -8.334872",
        smooth=True,
    ),
    bare("funnel-10", funnel, ([-11, *[-300] * 9], [12, *[300] * 9], 10), 0.0, CLOSED),
    bare("banana", banana, ([-20, -15], [5, 15], 2), banana_log_z(), "quadrature: 2.079182"),
    bare("twisted-5", twisted, twisted_reach(5), 0.0, CLOSED),
    bare("twisted-10", twisted, twisted_reach(10), 0.0, CLOSED, held=True),
    bare("grid-3x3", grid(5, 0.5, np.ones(9)), (-10.0, 10.0, 2), 0.0, CLOSED),
    bare(
        "grid-3x3-uneven",
        grid(10, 1.0, np.arange(1, 10) ** 2),
        (-20.0, 20.0, 2),
        0.0,
        CLOSED,
        held=True,
    ),
    bare(
        "five-modes",
        normals(FIVE_MEANS, FIVE_COVARIANCES, np.full(5, 0.2)),
        (-25.0, 25.0, 2),
        0.0,
        CLOSED,
    ),
    bare(
        "forty-modes",
        normals(FORTY_MEANS, [np.eye(2) * 1.31326**2] * 40, np.full(40, 1 / 40)),
        (-50.0, 50.0, 2),
        0.0,
        CLOSED,
        held=True,
    ),
    bare("two-of-unlike-scale", normals(*PYPMC), (-8.0, 8.0, 2), 0.0, CLOSED, held=True),
    bare(
        "three-modes-4",
        normals(*LIU),
        (-13.0, 13.0, 4),
        float(np.log(4.5)),
        CLOSED,
    ),
    bare("wide-10", normals(*THREE), (-60.0, 60.0, 10), 0.0, CLOSED, smooth=True),
    bare("many-well-8", wells, (-6.0, 6.0, 8), wells_log_z(4), WELLS),
    bare("many-well-32", wells, (-6.0, 6.0, 32), wells_log_z(16), WELLS, held=True),
    bare("stretched-normal-20", normals(*STRETCHED), (-90.0, 90.0, 20), 0.0, CLOSED, smooth=True),
    bare("student-t-10", student_t, (-2000.0, 2000.0, 10), 0.0, CLOSED, held=True),
]
