"""scikit-learn's `IterativeImputer` as it comes, levels one-hot.

A level's columns sum to one, so that the start at their means is where the rounds stay: what comes
out for levels is the most frequent one.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(table)
    warnings.simplefilter("ignore", ConvergenceWarning)
    z = np.asarray(IterativeImputer(random_state=seed).fit_transform(coded.z))
    return Filled(coded.decoded(z))
