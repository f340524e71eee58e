"""scikit-learn's `IterativeImputer` with random forests."""

import warnings

from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(table)
    forest = RandomForestRegressor(50, min_samples_leaf=3, random_state=seed)
    warnings.simplefilter("ignore", ConvergenceWarning)
    imputer = IterativeImputer(forest, max_iter=10, random_state=seed)
    return Filled(coded.decoded(imputer.fit_transform(coded.z)))
