"""The catalogue's families by other means: SciPy's densities, and moments in closed form."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy import euler_gamma, exp, expm1, log, pi
from scipy import special, stats


class Truth(NamedTuple):
    """A family of independent units at three members, and a moment of each."""

    parameters: tuple[list[float], ...]
    """In the family's order; one entry per unit."""
    scipy: Callable[..., Any]
    statistic: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    """The statistic's derivative."""
    moment: Callable[..., np.ndarray]
    """The statistic's mean in closed form."""
    one_noise: bool = True
    """A draw is a monotone function of one noise, so that each draw's derivative is determined."""


def itself(z):
    return z


def one(z):
    return np.ones_like(z)


def reciprocal(z):
    return 1 / z


def twice(z):
    return 2 * z


MEAN, SQUARE, LOG = (itself, one), (np.square, twice), (log, reciprocal)
LOG_SQUARE = (lambda z: np.log1p(z**2), lambda z: 2 * z / (1 + z**2))
LOCATION, SCALE = [-1.5, 0.0, 2.0], [0.4, 1.0, 2.5]


def triangular_square(low, width, mode):
    a, b, m = low, low + width, low + mode * width
    variance = (a**2 + b**2 + m**2 - a * b - a * m - b * m) / 18
    return variance + ((a + b + m) / 3) ** 2


TRUTHS = {
    "exponential": Truth((SCALE,), lambda r: stats.expon(scale=1 / r), *MEAN, lambda r: 1 / r),
    "cauchy": Truth(
        (LOCATION, SCALE),
        stats.cauchy,
        *LOG_SQUARE,
        lambda m, s: log(m**2 + (1 + s) ** 2),
    ),
    "logistic": Truth(
        (LOCATION, SCALE), stats.logistic, *SQUARE, lambda m, s: m**2 + (pi * s) ** 2 / 3
    ),
    "rayleigh": Truth(
        (SCALE,), lambda s: stats.rayleigh(scale=s), *MEAN, lambda s: s * (pi / 2) ** 0.5
    ),
    "pareto": Truth(
        (SCALE, [0.3, 2.0, 5.0]),
        lambda s, a: stats.pareto(a, scale=s),
        *LOG,
        lambda s, a: log(s) + 1 / a,
    ),
    "weibull": Truth(
        (SCALE, [0.3, 1.0, 4.0]),
        lambda s, k: stats.weibull_min(k, scale=s),
        *LOG,
        lambda s, k: log(s) - euler_gamma / k,
    ),
    "reciprocal": Truth(
        (SCALE, [0.2, 1.0, 4.0]),
        lambda a, w: stats.loguniform(a, a * exp(w)),
        *MEAN,
        lambda a, w: a * expm1(w) / w,
    ),
    "gompertz": Truth(
        ([0.2, 1.0, 3.0], [2.0, 1.0, 0.5]),
        lambda c, r: stats.gompertz(c, scale=1 / r),
        *MEAN,
        lambda c, r: exp(c) * special.exp1(c) / r,
    ),
    "gumbel": Truth(
        (LOCATION, SCALE),
        stats.gumbel_r,
        *SQUARE,
        lambda m, s: (m + euler_gamma * s) ** 2 + (pi * s) ** 2 / 6,
    ),
    "erlang": Truth((SCALE,), lambda r: stats.erlang(2, scale=1 / r), *MEAN, lambda r: 2 / r),
    "laplace": Truth((LOCATION, SCALE), stats.laplace, *SQUARE, lambda m, s: m**2 + 2 * s**2),
    "student_t": Truth(
        ([9.0, 12.0, 30.0], LOCATION, SCALE),
        stats.t,
        *SQUARE,
        lambda df, m, s: m**2 + s**2 * df / (df - 2),
        one_noise=False,
    ),
    "uniform": Truth(
        (LOCATION, SCALE),
        stats.uniform,
        *SQUARE,
        lambda a, w: ((a + w) ** 3 - a**3) / (3 * w),
    ),
    "triangular": Truth(
        (LOCATION, SCALE, [0.1, 0.5, 0.8]),
        lambda a, w, m: stats.triang(m, a, w),
        *SQUARE,
        triangular_square,
    ),
    "normal": Truth((LOCATION, SCALE), stats.norm, *SQUARE, lambda m, s: m**2 + s**2),
    "log_normal": Truth(
        (LOCATION, [0.1, 0.5, 1.0]),
        lambda m, s: stats.lognorm(s, scale=exp(m)),
        *MEAN,
        lambda m, s: exp(m + s**2 / 2),
    ),
    "gamma": Truth(
        ([0.3, 1.0, 6.0], SCALE),
        lambda a, r: stats.gamma(a, scale=1 / r),
        *SQUARE,
        lambda a, r: a * (a + 1) / r**2,
    ),
    "beta": Truth(
        ([0.4, 1.0, 5.0], [0.8, 1.0, 2.0]),
        stats.beta,
        *SQUARE,
        lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1)),
        one_noise=False,
    ),
    "chi_squared": Truth(([0.7, 2.0, 9.0],), stats.chi2, *SQUARE, lambda df: df * (df + 2)),
    "f": Truth(
        ([0.8, 5.0, 9.0], [3.0, 5.0, 12.0]),
        stats.f,
        *LOG,
        lambda a, b: special.digamma(a / 2) - special.digamma(b / 2) + log(b / a),
        one_noise=False,
    ),
}
"""Families of independent units."""

JOINT = {
    "elliptical": (
        np.array([-1.0, 0.5, 2.0]),
        np.array([[0.5, 0, 0], [-0.8, 1.5, 0], [0.3, 0.6, 1.0]]),
    ),
    "elliptical_t": (
        np.array([-1.0, 0.5, 2.0]),
        np.array([[0.5, 0, 0], [-0.8, 1.5, 0], [0.3, 0.6, 1.0]]),
        np.array(9.0),
    ),
    "dirichlet": (np.array([0.4, 1.0, 3.5]),),
}
"""Parameters of the families whose units depend on each other."""

DIRECTION = np.array([0.7, -0.4, 1.1])


def joint_moment(name, parameters):
    """E[(v . z)^2] in closed form."""
    if name == "dirichlet":
        (a,) = parameters
        total = a.sum()
        second = (np.outer(a, a) + np.diag(a)) / (total * (total + 1))
        return DIRECTION @ second @ DIRECTION
    location, factor, *df = parameters
    inflation = df[0] / (df[0] - 2) if df else 1.0
    return (DIRECTION @ location) ** 2 + inflation * np.sum((DIRECTION @ factor) ** 2)


def joint_log_density(name, parameters, z):
    if name == "dirichlet":
        alpha = parameters[0]
        # SciPy wants rows that sum to one in float64.
        return np.array([stats.dirichlet(alpha).logpdf(row / row.sum()) for row in z])
    location, factor, *df = parameters
    matrix: Any = factor @ factor.T
    if df:
        return stats.multivariate_t(location, matrix, df[0]).logpdf(z)
    return stats.multivariate_normal(location, matrix).logpdf(z)


def derivative(function, parameters, index, step=1e-5):
    """Central difference in one whole parameter, in float64."""
    above, below = (
        [p + sign * step if i == index else p for i, p in enumerate(parameters)] for sign in (1, -1)
    )
    return (function(*above) - function(*below)) / (2 * step)
