"""scikit-learn's `IterativeImputer` with draws, many times: chained equations."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed

TABLES = 100


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(table)
    warnings.simplefilter("ignore", ConvergenceWarning)
    draws = np.stack(
        [
            IterativeImputer(random_state=TABLES * seed + t, sample_posterior=True).fit_transform(
                coded.z
            )
            for t in range(TABLES)
        ]
    )
    return Filled(coded.decoded(draws.mean(axis=0)), coded.decoded(draws))
