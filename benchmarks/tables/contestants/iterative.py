"""scikit-learn's `IterativeImputer` as it comes."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(table)
    warnings.simplefilter("ignore", ConvergenceWarning)
    return Filled(coded.decoded(IterativeImputer(random_state=seed).fit_transform(coded.z)))
