"""Linear-Gaussian state spaces: the Kalman filter knows their evidence."""

from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Float
from scipy import integrate

from benchmarks.evidence.posing import LOG_2PI, log_normal_density, sampled
from benchmarks.evidence.priors import Prior, chain, lognormal, normal
from benchmarks.evidence.problem import Problem

_RNG = np.random.default_rng(5)
LEVEL = np.round(np.cumsum(0.5 * _RNG.standard_normal(20)) + 0.7 * _RNG.standard_normal(20), 3)
NOISE = 0.7
FIRST = 2.0
"""Standard deviation of the first state."""


def kalman(y: Float[np.ndarray, " t"], step: float) -> float:
    """Log p(y) of a local level: a random walk with steps of this size, seen under noise."""
    mean, variance, total = 0.0, FIRST**2, 0.0
    for value in y:
        spread = variance + NOISE**2
        total += -0.5 * ((value - mean) ** 2 / spread + np.log(spread) + LOG_2PI)
        gain = variance / spread
        mean, variance = mean + gain * (value - mean), variance * (1 - gain) + step**2
    return float(total)


def steps(step: float) -> Prior:
    """The states themselves, each a step away from the one before."""
    scale = np.array([FIRST, *[step] * (len(LEVEL) - 1)])
    plain = normal(0.0, scale, len(LEVEL))

    def cdf(x: np.ndarray) -> np.ndarray:
        return plain.cdf(np.diff(x, axis=-1, prepend=0.0))

    return Prior(len(LEVEL), lambda u, xp: xp.cumsum(plain.transform(u, xp), axis=-1), cdf)


def known_step() -> Problem:
    """Twenty states, centred: tightbound sees the chain, as most write it."""
    n = len(LEVEL)

    def model() -> None:
        states = [numpyro.sample("state_0", dist.Normal(0.0, FIRST))]
        for t in range(1, n):
            states.append(numpyro.sample(f"state_{t}", dist.Normal(states[-1], 0.5)))
        _observe(jnp.stack(states))

    def likelihood(x: Any, xp: ModuleType) -> Any:
        return xp.sum(log_normal_density(LEVEL, x, NOISE), axis=-1)

    return sampled(
        "state-space-20",
        steps(0.5),
        model,
        likelihood,
        kalman(LEVEL, 0.5),
        "Kalman filter",
        smooth=True,
        held=True,
    )


def unknown_step() -> Problem:
    """The size of the steps is lognormal; states by their standardised steps."""
    n = len(LEVEL)

    def model() -> None:
        step = numpyro.sample("step", dist.LogNormal(-1.0, 1.0))
        eta = numpyro.sample("eta", dist.Normal(jnp.zeros(n), 1.0).to_event(1))
        scale = jnp.concatenate([jnp.full(1, FIRST), jnp.full(n - 1, step)])
        _observe(jnp.cumsum(scale * eta))

    def likelihood(x: Any, xp: ModuleType) -> Any:
        step, eta = x[..., :1], x[..., 1:]
        moves = xp.concatenate([FIRST * eta[..., :1], step * eta[..., 1:]], axis=-1)
        return xp.sum(log_normal_density(LEVEL, xp.cumsum(moves, axis=-1), NOISE), axis=-1)

    return sampled(
        "state-space-21",
        chain(lognormal(-1.0, 1.0, 1), normal(0.0, 1.0, n)),
        model,
        likelihood,
        unknown_step_log_z(),
        "Kalman filter, quadrature over the step",
        smooth=True,
    )


def unknown_step_log_z() -> float:
    most = kalman(LEVEL, 0.5)
    area = integrate.quad(
        lambda s: np.exp(kalman(LEVEL, np.exp(s - 1)) - most - 0.5 * s**2) / np.sqrt(2 * np.pi),
        -8,
        8,
        epsabs=1e-12,
        epsrel=1e-10,
        limit=500,
    )[0]
    return float(np.log(area) + most)


def _observe(states: Any) -> None:
    law = dist.Normal(states, NOISE).to_event(1)
    numpyro.sample("y", law, obs=jnp.asarray(LEVEL, jnp.float32))


PROBLEMS: list[Problem] = [known_step(), unknown_step()]
