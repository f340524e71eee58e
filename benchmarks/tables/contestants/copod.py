"""PyOD's `COPOD` as it comes."""

# pyright: reportMissingImports=false

from pyod.models.copod import COPOD

from benchmarks.tables.contestants.detecting import detected
from benchmarks.tables.questions.anomalies import Rows, Scored


def score(rows: Rows, seed: int) -> Scored:
    return detected(COPOD(), rows)
