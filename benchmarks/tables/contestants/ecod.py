"""PyOD's `ECOD` as it comes."""

# pyright: reportMissingImports=false

from pyod.models.ecod import ECOD

from benchmarks.tables.contestants.detecting import detected
from benchmarks.tables.questions.anomalies import Rows, Scored


def score(rows: Rows, seed: int) -> Scored:
    return detected(ECOD(), rows)
