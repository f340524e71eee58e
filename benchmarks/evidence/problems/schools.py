"""Hierarchies of normals: given the scale tau of the groups all else has a closed form.

Eight schools (Rubin 1981) under two priors, centred and not; groups of one's own; and a horseshoe.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Float
from scipy import integrate, special, stats

from benchmarks.evidence.posing import LOG_2PI, log_normal_density, sampled
from benchmarks.evidence.priors import (
    Prior,
    chain,
    half_cauchy,
    half_normal,
    lognormal,
    normal,
)
from benchmarks.evidence.problem import Problem

EFFECTS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
_RNG = np.random.default_rng(7)
GROUPS = np.round(1 + 0.8 * _RNG.standard_normal(12) + 0.5 * _RNG.standard_normal(12), 3)
SIGNALS = np.array([0.3, -0.8, 4.5, 0.1, -6.0])


def log_likelihood_given(
    tau: float, y: Float[np.ndarray, " n"], errors: Float[np.ndarray, " n"], mean_scale: float
) -> float:
    """Log N(y; 0, diag(errors^2 + tau^2) + mean_scale^2), in nats."""
    variance = errors**2 + tau**2
    precision = np.sum(1 / variance) + 1 / mean_scale**2
    distance = np.sum(y**2 / variance) - np.sum(y / variance) ** 2 / precision
    log_volume = np.sum(np.log(variance)) + np.log(mean_scale**2 * precision)
    return -0.5 * (distance + log_volume + len(y) * LOG_2PI)


def over_tau(log_given: Callable[[float], float], quantile: Callable[[Any], Any]) -> float:
    """Log of the mean over tau's prior, by quadrature over its probabilities."""
    most = max(log_given(float(quantile(u))) for u in np.linspace(0.01, 0.99, 99))
    area = integrate.quad(
        lambda u: np.exp(log_given(float(quantile(u))) - most),
        0,
        1,
        points=[0.001, 0.01, 0.1, 0.5, 0.9],
        epsabs=1e-13,
        epsrel=1e-10,
        limit=2000,
    )[0]
    return float(np.log(area) + most)


def centred(first: Prior, mean_first: Prior, n: int) -> Prior:
    """A mean, a scale, and n normals with them."""
    top = chain(mean_first, first)

    def transform(u: Any, xp: ModuleType) -> Any:
        upper = top.transform(u[..., :2], xp)
        plain = normal(0.0, 1.0, n).transform(u[..., 2:], xp)
        return xp.concatenate([upper, upper[..., :1] + upper[..., 1:] * plain], axis=-1)

    def cdf(x: np.ndarray) -> np.ndarray:
        lower = special.ndtr((x[..., 2:] - x[..., :1]) / x[..., 1:2])
        return np.concatenate([top.cdf(x[..., :2]), lower], axis=-1)

    return Prior(2 + n, transform, cdf)


def hierarchy(
    name: str,
    y: Float[np.ndarray, " n"],
    errors: Float[np.ndarray, " n"],
    mean_scale: float,
    tau: tuple[Prior, Callable[[], dist.Distribution], Callable[[Any], Any]],
    *,
    is_centred: bool = False,
    held: bool = False,
    known: str = "quadrature over tau",
) -> Problem:
    """Mean mu ~ N(0, mean_scale^2), tau by its prior, NumPyro law and quantile."""
    law, numpyro_law, quantile = tau
    n = len(y)

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, mean_scale))
        scale = numpyro.sample("tau", numpyro_law())
        if is_centred:
            effects = numpyro.sample("theta", dist.Normal(mu, scale).expand([n]).to_event(1))
        else:
            effects = mu + scale * numpyro.sample("eta", dist.Normal(jnp.zeros(n), 1.0).to_event(1))
        numpyro.sample(
            "y",
            dist.Normal(effects, jnp.asarray(errors, jnp.float32)).to_event(1),
            obs=jnp.asarray(y, jnp.float32),
        )

    def likelihood(x: Any, xp: ModuleType) -> Any:
        effects = x[..., 2:] if is_centred else x[..., :1] + x[..., 1:2] * x[..., 2:]
        return xp.sum(log_normal_density(y, effects, errors), axis=-1)

    mean = normal(0.0, mean_scale, 1)
    prior = centred(law, mean, n) if is_centred else chain(mean, law, normal(0.0, 1.0, n))
    log_z = over_tau(lambda t: log_likelihood_given(t, y, errors, mean_scale), quantile)
    return sampled(name, prior, model, likelihood, log_z, known, smooth=not is_centred, held=held)


def horseshoe_log_z() -> float:
    """Each signal by itself: y ~ N(0, 1 + lambda^2), lambda ~ half-Cauchy(1)."""
    return sum(
        over_tau(lambda t, y=y: float(stats.norm.logpdf(y, 0, np.hypot(1, t))), _half_cauchy(1.0))
        for y in SIGNALS
    )


def horseshoe() -> Problem:
    """Signals y ~ N(lambda eta, 1), eta ~ N(0, 1), lambda ~ half-Cauchy(1), each its own."""
    n = len(SIGNALS)

    def model() -> None:
        scale = numpyro.sample("lambda", dist.HalfCauchy(jnp.ones(n)).to_event(1))
        eta = numpyro.sample("eta", dist.Normal(jnp.zeros(n), 1.0).to_event(1))
        numpyro.sample(
            "y", dist.Normal(scale * eta, 1.0).to_event(1), obs=jnp.asarray(SIGNALS, jnp.float32)
        )

    def likelihood(x: Any, xp: ModuleType) -> Any:
        return xp.sum(log_normal_density(SIGNALS, x[..., :n] * x[..., n:], 1.0), axis=-1)

    prior = chain(half_cauchy(1.0, n), normal(0.0, 1.0, n))
    known = "quadrature over each lambda"
    return sampled("horseshoe-10", prior, model, likelihood, horseshoe_log_z(), known)


def _half_cauchy(scale: float) -> Callable[[Any], Any]:
    return lambda u: scale * np.tan(0.5 * np.pi * u)


LOGNORMAL = (
    lognormal(5.0, 1.0, 1),
    lambda: dist.LogNormal(5.0, 1.0),
    lambda u: np.exp(5 + special.ndtri(u)),
)
CAUCHY = (half_cauchy(5.0, 1), lambda: dist.HalfCauchy(5.0), _half_cauchy(5.0))
HALF_NORMAL = (
    half_normal(2.0, 1),
    lambda: dist.HalfNormal(2.0),
    lambda u: 2 * special.ndtri((1 + u) / 2),
)
WIDE = "quadrature over tau: -36.130816"
USUAL = "quadrature over tau: -31.311347"

PROBLEMS: list[Problem] = [
    hierarchy("schools-wide", EFFECTS, ERRORS, 10.0, LOGNORMAL, known=WIDE),
    hierarchy(
        "schools-wide-centred",
        EFFECTS,
        ERRORS,
        10.0,
        LOGNORMAL,
        is_centred=True,
        held=True,
        known=WIDE,
    ),
    hierarchy("schools", EFFECTS, ERRORS, 5.0, CAUCHY, known=USUAL),
    hierarchy("schools-centred", EFFECTS, ERRORS, 5.0, CAUCHY, is_centred=True, known=USUAL),
    hierarchy("twelve-groups", GROUPS, np.full(12, 0.5), 3.0, HALF_NORMAL, held=True),
    horseshoe(),
]
