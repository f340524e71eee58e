"""PyOD's `KNN` as it comes."""

# pyright: reportMissingImports=false

from pyod.models.knn import KNN

from benchmarks.tables.contestants.detecting import detected
from benchmarks.tables.questions.anomalies import Rows, Scored


def score(rows: Rows, seed: int) -> Scored:
    return detected(KNN(), rows)
