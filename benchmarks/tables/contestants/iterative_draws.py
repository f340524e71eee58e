"""scikit-learn's `IterativeImputer` with draws, many times: chained equations."""

import warnings

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed

TABLES = 100


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(table)
    warnings.simplefilter("ignore", ConvergenceWarning)
    draws = np.stack([_draw(coded.z, TABLES * seed + t) for t in range(TABLES)])
    return Filled(coded.decoded(draws.mean(axis=0)), coded.decoded(draws))


def _draw(z: Float[np.ndarray, "n w"], seed: int) -> Float[np.ndarray, "n w"]:
    return np.asarray(IterativeImputer(random_state=seed, sample_posterior=True).fit_transform(z))
