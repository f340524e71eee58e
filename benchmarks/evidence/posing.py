"""Ways to pose a density: on a box, on all of R^dim, or as a NumPyro model."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpy.typing import ArrayLike

import tightbound as tb
from benchmarks.evidence.priors import Prior, box
from benchmarks.evidence.problem import LogLikelihood, Problem, as_it_is, of_sites

LOG_2PI = float(np.log(2 * np.pi))


def on_box(
    name: str,
    limits: tuple[float, float, int],
    likelihood: LogLikelihood,
    log_z: float,
    known: str,
    *,
    smooth: bool = False,
    held: bool = False,
) -> Problem:
    """A likelihood under a uniform prior between limits (low, high, dim)."""
    low, high, dim = limits

    def model() -> None:
        edges = (jnp.full(dim, edge) for edge in (low, high))
        x = numpyro.sample("x", dist.Uniform(*edges).to_event(1))
        numpyro.factor("likelihood", likelihood(x, jnp))

    prior = box(low, high, dim)
    return sampled(name, prior, model, likelihood, log_z, known, smooth=smooth, held=held)


def sampled(
    name: str,
    prior: Prior,
    model: Callable[[], None],
    likelihood: LogLikelihood,
    log_z: float,
    known: str,
    *,
    smooth: bool = False,
    held: bool = False,
) -> Problem:
    """A NumPyro model, whose sites in order are the parameters."""
    return Problem(
        name,
        prior,
        (likelihood,),
        log_z,
        known,
        lambda: (tb.from_numpyro(model), None),
        of_sites,
        smooth,
        held,
    )


def bare(
    name: str,
    density: LogLikelihood,
    reach: tuple[ArrayLike, ArrayLike, int],
    log_z: float,
    known: str,
    *,
    smooth: bool = False,
    held: bool = False,
) -> Problem:
    """A density on all of R^dim, without a prior.

    Samplers that need one get a uniform prior between the limits (low, high, dim) of `reach`, far
    enough out that what lies beyond is below 1e-3 nats, and a likelihood with its volume.
    """
    low, high, dim = reach
    log_volume = float(np.sum(np.log(np.broadcast_to(np.subtract(high, low), dim))))
    return Problem(
        name,
        box(low, high, dim),
        (lambda x, xp: density(x, xp) + log_volume,),
        log_z,
        known,
        lambda: (tb.Target(lambda z: density(z, jnp), dim), None),
        as_it_is,
        smooth,
        held,
    )


def log_normal_density(x: Any, mean: Any, scale: Any) -> Any:
    """Log N(x; mean, scale^2) of each element, in nats; scales are of NumPy."""
    return -0.5 * ((x - mean) / scale) ** 2 - (np.log(scale) + 0.5 * LOG_2PI)


def normals(means: ArrayLike, covariances: ArrayLike, weights: ArrayLike) -> LogLikelihood:
    """A mixture of normals; the weights need not sum to one: their sum is its integral."""
    means, covariances = np.asarray(means, float), np.asarray(covariances, float)
    white = np.linalg.inv(np.linalg.cholesky(covariances))
    log_volume = np.linalg.slogdet(white)[1] - 0.5 * means.shape[1] * LOG_2PI
    shift = np.asarray(np.log(weights) + log_volume, np.float64)

    def density(x: Any, xp: ModuleType) -> Any:
        away = xp.einsum("kij,...kj->...ki", xp.asarray(white), x[..., None, :] - means)
        return log_sum_exp(-0.5 * xp.sum(away**2, axis=-1) + shift, xp)

    return density


def log_sum_exp(x: Any, xp: ModuleType) -> Any:
    """Over the last axis."""
    most = xp.max(x, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(x - most), axis=-1)) + most[..., 0]
