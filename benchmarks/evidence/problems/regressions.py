"""Regressions and mixtures without conjugate priors: by quadrature, enumeration, long reference."""

import itertools
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Float, Int
from scipy import optimize, special, stats
from sklearn import datasets

from benchmarks.evidence.posing import log_normal_density, log_sum_exp, sampled
from benchmarks.evidence.priors import normal
from benchmarks.evidence.problem import LogLikelihood, Problem

DOSES = np.array([-2.0, -1.4, -0.8, -0.3, 0.1, 0.6, 1.1, 1.9])
ANIMALS = 6
DEATHS = np.array([0, 1, 1, 2, 4, 3, 6, 6])
VISITS = np.array([1, 0, 3, 2, 4, 6, 9, 21])
TEN_COLUMNS = -92.5845
"""Log-evidence of the logistic regression on ten columns; standard error 0.0004 nats."""


def logistic(x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], trials: int) -> LogLikelihood:
    """Binomial counts y out of `trials`, logits x @ beta."""
    constant = np.sum(
        special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
    )

    def likelihood(beta: Any, xp: ModuleType) -> Any:
        logits = beta @ x.T
        return xp.sum(1.0 * y * logits - trials * xp.logaddexp(0.0, logits), axis=-1) + constant

    return likelihood


def poisson(x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"]) -> LogLikelihood:
    constant = -np.sum(special.gammaln(y + 1))

    def likelihood(beta: Any, xp: ModuleType) -> Any:
        log_rates = beta @ x.T
        return xp.sum(1.0 * y * log_rates - xp.exp(log_rates), axis=-1) + constant

    return likelihood


def regression(
    name: str,
    x: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    likelihood: LogLikelihood,
    scale: float,
    truth: tuple[float, str],
    *,
    trials: int | None,
    held: bool,
) -> Problem:
    """Coefficients beta ~ N(0, scale^2 I), logits or log-rates x @ beta."""

    def model() -> None:
        beta = numpyro.sample("beta", dist.Normal(jnp.zeros(x.shape[1]), scale).to_event(1))
        linear = jnp.asarray(x, jnp.float32) @ beta
        law = (
            dist.Poisson(jnp.exp(linear))
            if trials is None
            else dist.Binomial(total_count=trials, logits=linear)
        )
        numpyro.sample("y", law.to_event(1), obs=jnp.asarray(y))

    prior = normal(0.0, scale, x.shape[1])
    return sampled(name, prior, model, likelihood, *truth, smooth=True, held=held)


def on_a_grid(likelihood: LogLikelihood, scale: float, points: int = 501) -> float:
    """Two parameters ~ N(0, scale^2): the trapezium rule out to eight standard deviations."""
    axis = np.linspace(-8 * scale, 8 * scale, points)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    log_joint = likelihood(grid, np) + log_normal_density(grid, 0.0, scale).sum(-1)
    return float(np.asarray(special.logsumexp(log_joint)) + 2 * np.log(axis[1] - axis[0]))


def by_importance(
    likelihood: LogLikelihood, scale: float, dim: int, draws: int, seed: int
) -> tuple[float, float]:
    """Log Z and its standard error from draws of a Student's t at the mode, in double precision."""

    def minus_log_joint(beta: np.ndarray) -> np.ndarray:
        return -likelihood(beta, np) - log_normal_density(beta, 0.0, scale).sum(-1)

    mode = optimize.minimize(minus_log_joint, np.zeros(dim), method="BFGS", tol=1e-8).x
    step = 1e-3 * np.eye(dim)
    curvature = np.array(
        [
            [
                (minus_log_joint(mode + a + b) - minus_log_joint(mode + a - b)
                 - minus_log_joint(mode - a + b) + minus_log_joint(mode - a - b)) / 4e-6
                for a in step
            ]
            for b in step
        ]
    )  # fmt: skip
    shape: Any = np.linalg.inv((curvature + curvature.T) / 2)
    q = stats.multivariate_t(mode, shape, df=8)
    rng, total = np.random.default_rng(seed), []
    for _ in range(0, draws, 10_000):
        z = q.rvs(10_000, random_state=rng)
        total.append(-minus_log_joint(z) - q.logpdf(z))
    log_w = np.concatenate(total)
    weights = np.exp(log_w - log_w.max())
    error = np.std(weights) / np.mean(weights) / np.sqrt(len(log_w))
    return float(log_w.max() + np.log(weights.mean())), float(error)


def ten_columns() -> tuple[Float[np.ndarray, "n 11"], Int[np.ndarray, " n"]]:
    """The ten mean measurements of scikit-learn's breast cancer data, standardised, and a one."""
    loaded: Any = datasets.load_breast_cancer()
    x = loaded.data[:, :10]
    x = (x - x.mean(0)) / x.std(0)
    return np.concatenate([np.ones((len(x), 1)), x], axis=1), loaded.target


Y_MIXTURE = np.array([-2.9, -2.1, -1.6, 0.2, 0.6, 2.4, 3.1, 3.3])


def mixture(components: int, *, held: bool) -> Problem:
    """Equal weights, unit scales, means ~ N(0, 3^2): the labels can be exchanged."""

    def model() -> None:
        means = numpyro.sample("means", dist.Normal(jnp.zeros(components), 3.0).to_event(1))
        numpyro.factor("likelihood", likelihood(means, jnp))

    def likelihood(means: Any, xp: ModuleType) -> Any:
        each = log_normal_density(Y_MIXTURE[:, None], means[..., None, :], 1.0)
        return xp.sum(log_sum_exp(each, xp) - np.log(components), axis=-1)

    prior = normal(0.0, 3.0, components)
    name, known = f"mixture-{components}", "closed form, summed over all labels"
    log_z = labels_summed(Y_MIXTURE, components)
    return sampled(name, prior, model, likelihood, log_z, known, held=held)


def labels_summed(y: Float[np.ndarray, " n"], components: int) -> float:
    """Over all ways to give each datum a component, in each of which all is normal."""
    labels = np.array(list(itertools.product(range(components), repeat=len(y))))
    total = -len(y) * np.log(components) * np.ones(len(labels))
    for component in range(components):
        member = labels == component
        n, s, q = member.sum(1), member @ y, member @ y**2
        # N(y; 0, I + 9 11') through its rank-one form.
        distance = q - 9 * s**2 / (1 + 9 * n)
        total += -0.5 * (distance + np.log1p(9 * n) + n * np.log(2 * np.pi))
    return float(np.asarray(special.logsumexp(total)))


LINE = np.stack([np.ones(8), DOSES], axis=1)
_LOGISTIC, _POISSON = logistic(LINE, DEATHS, ANIMALS), poisson(LINE, VISITS)
_COLUMNS, _CLASSES = ten_columns()

PROBLEMS: list[Problem] = [
    regression(
        "logistic-2",
        LINE,
        DEATHS,
        _LOGISTIC,
        2.5,
        (on_a_grid(_LOGISTIC, 2.5), "quadrature on a grid"),
        trials=ANIMALS,
        held=False,
    ),
    regression(
        "poisson-2",
        LINE,
        VISITS,
        _POISSON,
        2.0,
        (on_a_grid(_POISSON, 2.0), "quadrature on a grid"),
        trials=None,
        held=True,
    ),
    regression(
        "logistic-11",
        _COLUMNS,
        _CLASSES,
        logistic(_COLUMNS, _CLASSES, 1),
        1.0,
        (TEN_COLUMNS, "4,000,000 draws in double precision, standard error 0.0004"),
        trials=1,
        held=False,
    ),
    mixture(2, held=False),
    mixture(3, held=True),
]
