"""Probabilistic PCA of standardised tables at its maximum likelihood: one latent for each datum.

Reference: Tipping & Bishop 1999, JRSS B 61(3), eq. 7 and 8.
"""

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats
from sklearn import datasets

import tightbound as tb
from benchmarks.evidence.posing import log_normal_density
from benchmarks.evidence.priors import normal
from benchmarks.evidence.problem import Problem, as_it_is


def standardised(name: str) -> Float[np.ndarray, "n d"]:
    """scikit-learn's wine or breast cancer, columns with mean 0 and standard deviation 1."""
    x = getattr(datasets, f"load_{name}")().data
    return (x - x.mean(0)) / x.std(0)


def fitted(x: Float[np.ndarray, "n d"], k: int) -> tuple[Float[np.ndarray, "d k"], float]:
    """The loading and the standard deviation of the noise, in closed form."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = values[k:].mean()
    return vectors[:, :k] * np.sqrt(values[:k] - noise), float(np.sqrt(noise))


def principal_components(name: str, k: int, *, held: bool) -> Problem:
    """Latents z ~ N(0, I), data x ~ N(W z, s^2 I)."""
    x = standardised(name)
    loading, noise = fitted(x, k)

    def likelihood(z: Any, xp: ModuleType, *, row: np.ndarray) -> Any:
        return xp.sum(log_normal_density(row, z @ loading.T, noise), axis=-1)

    covariance: Any = loading @ loading.T + noise**2 * np.eye(x.shape[1])
    each = stats.multivariate_normal.logpdf(x, np.zeros(x.shape[1]), covariance)
    truth = float(np.mean(each))
    return Problem(
        f"pca-{name.replace('_', '-')}-{k}",
        normal(0.0, 1.0, k),
        tuple(partial(likelihood, row=row) for row in x),
        truth,
        f"closed form: {truth:.6f}, the mean over {len(x)} data",
        lambda: (
            tb.models.linear_gaussian(loading, np.zeros(x.shape[1]), noise),
            x.astype(np.float32),
        ),
        as_it_is,
        smooth=True,
        held=held,
    )


PROBLEMS: list[Problem] = [
    principal_components("wine", 2, held=False),
    principal_components("wine", 5, held=False),
    principal_components("breast_cancer", 2, held=True),
]
