"""scikit-learn's `IterativeImputer` as it comes, levels by their numbers."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(Holed(table.x, (0,) * table.x.shape[1]))
    warnings.simplefilter("ignore", ConvergenceWarning)
    x = coded.decoded(np.asarray(IterativeImputer(random_state=seed).fit_transform(coded.z)))
    for j in table.levelled:
        x[:, j] = np.clip(np.rint(x[:, j]), 0, table.levels[j] - 1)
    return Filled(x)
