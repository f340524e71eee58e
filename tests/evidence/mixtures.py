"""Densities with a known integral, exact draws of them, and a normal proposal for each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm, t

import tightbound as tb
from tightbound.distributions import StandardNormal


class Problem(NamedTuple):
    """A density of z in R^d whose log-integral is `log_z`, and where methods start."""

    name: str
    dim: int
    log_density: Callable[[Any], Any]
    exact: Callable[[np.random.Generator, int], np.ndarray]
    """n exact draws, of shape (n, d)."""
    centre: float
    width: float
    """Mean and standard deviation of the proposal, alike in all dimensions."""
    log_z: float = 0.0


def normals(dim: int, centre: float, width: float) -> Problem:
    """A standard normal, under a proposal that is off."""
    return Problem(
        f"normal, {dim} dimensions, q at {centre}, {width} wide",
        dim,
        lambda z: jnp.sum(norm.logpdf(z)),
        lambda rng, n: rng.standard_normal((n, dim)),
        centre,
        width,
    )


def two_normals(dim: int, apart: float, width: float) -> Problem:
    """Shares 0.7 and 0.3, apart in the first dimension; the proposal is about the larger."""

    def exact(rng: np.random.Generator, n: int) -> np.ndarray:
        z = rng.standard_normal((n, dim))
        z[:, 0] += apart * (rng.random(n) < 0.3)
        return z

    return Problem(
        f"two normals, {dim} dimensions, {apart} apart, q {width} wide",
        dim,
        lambda z: jnp.logaddexp(
            jnp.sum(norm.logpdf(z)) + np.log(0.7),
            norm.logpdf(z[0], apart) + jnp.sum(norm.logpdf(z[1:])) + np.log(0.3),
        ),
        exact,
        0.0,
        width,
    )


def funnel(dim: int, neck: float, width: float) -> Problem:
    """v ~ N(0, neck^2) and the others N(0, e^v)."""

    def exact(rng: np.random.Generator, n: int) -> np.ndarray:
        v = neck * rng.standard_normal((n, 1))
        return np.concatenate([v, np.exp(v / 2) * rng.standard_normal((n, dim - 1))], axis=1)

    return Problem(
        f"funnel, {dim} dimensions, neck {neck}, q {width} wide",
        dim,
        lambda z: norm.logpdf(z[0], 0, neck) + jnp.sum(norm.logpdf(z[1:], 0, jnp.exp(z[0] / 2))),
        exact,
        0.0,
        width,
    )


def student(dim: int, dof: int, width: float) -> Problem:
    """Independent Student variables."""
    return Problem(
        f"Student-t, {dim} dimensions, {dof} degrees of freedom, q {width} wide",
        dim,
        lambda z: jnp.sum(t.logpdf(z, dof)),
        lambda rng, n: rng.standard_t(dof, (n, dim)),
        0.0,
        width,
    )


def banana(dim: int, bend: float, width: float) -> Problem:
    """A standard normal whose second coordinate is bent along the first."""

    def exact(rng: np.random.Generator, n: int) -> np.ndarray:
        z = rng.standard_normal((n, dim))
        z[:, 1] += bend * (z[:, 0] ** 2 - 1)
        return z

    return Problem(
        f"banana, {dim} dimensions, bend {bend}, q {width} wide",
        dim,
        lambda z: jnp.sum(norm.logpdf(z.at[1].add(-bend * (z[0] ** 2 - 1)))),
        exact,
        0.0,
        width,
    )


PROBLEMS = (
    normals(2, 0.3, 0.8),
    normals(4, 0.0, 1.5),
    normals(8, 0.5, 1.0),
    normals(16, 0.2, 1.2),
    two_normals(1, 2.5, 1.5),
    two_normals(2, 4.0, 1.5),
    two_normals(4, 3.0, 1.3),
    two_normals(2, 6.0, 3.0),
    funnel(2, 1.0, 1.5),
    funnel(3, 1.5, 2.0),
    funnel(4, 1.0, 1.0),
    student(1, 3, 1.5),
    student(2, 4, 1.2),
    student(4, 10, 1.1),
    banana(2, 0.5, 1.5),
    banana(3, 1.0, 1.5),
)


def start(problem: Problem) -> Any:
    """The proposal, as a posterior."""

    def log_prob(z: Any, x: Any) -> Any:
        return jnp.sum(norm.logpdf(z, problem.centre, problem.width)) + 0 * x[0]

    def sample(x: Any, key: Any) -> Any:
        noise = jax.random.normal(key, (problem.dim,))
        return problem.centre + problem.width * noise + 0 * x[0]

    return tb.distributions.from_functions(log_prob=log_prob, sample=sample)


def model(problem: Problem) -> tb.Model:
    """The density as p(x, z) of one datum, whatever x is; of the prior only the draws count."""
    return tb.models.from_log_joint(
        lambda x, z: problem.log_density(z) + 0 * x[0], 1, prior=StandardNormal(problem.dim)
    )
