"""PyOD's `IForest` as it comes."""

# pyright: reportMissingImports=false

from pyod.models.iforest import IForest

from benchmarks.tables.contestants.detecting import detected
from benchmarks.tables.questions.anomalies import Rows, Scored


def score(rows: Rows, seed: int) -> Scored:
    return detected(IForest(random_state=seed), rows)
