"""Laws of importance weights whose mean is known, as functions of a generator and a shape."""

import math

import numpy as np
from scipy import stats


def log_normal(sd):
    return lambda rng, shape: sd * rng.standard_normal(shape) - sd**2 / 2


def pareto(xi):
    return lambda rng, shape: math.log(1 - xi) - xi * np.log(rng.random(shape))


def gamma(a):
    return lambda rng, shape: np.log(rng.gamma(a, size=shape) / a)


def of_width(dim, width):
    """A standard normal weighed by a normal proposal `width` as wide."""
    return lambda rng, shape: (
        dim * math.log(width) + (1 - width**2) / 2 * rng.chisquare(dim, size=shape)
    )


def student(dof):
    """Student's t weighed by a standard normal: all tails are heavier than its own."""

    def log_w(rng, shape):
        z = rng.standard_normal(shape)
        return stats.t.logpdf(z, dof) - stats.norm.logpdf(z)

    return log_w


def uniform(rng, shape):
    return np.log(2 * rng.random(shape))


LAWS = {
    **{f"log-normal {sd}": log_normal(sd) for sd in (0.03, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5)},
    **{f"Pareto {xi}": pareto(xi) for xi in (0.1, 0.3, 0.5, 0.7, 0.9)},
    **{f"gamma {a}": gamma(a) for a in (0.5, 2.0, 8.0)},
    **{
        f"normal {dim}, {width}": of_width(dim, width)
        for dim in (1, 3, 10, 20)
        for width in (0.5, 0.7, 0.85, 0.95, 1.1, 1.3, 1.6)
    },
    **{f"Student {dof}": student(dof) for dof in (5, 10)},
    "bounded": uniform,
}
"""The log of the mean weight is 0 under each."""
