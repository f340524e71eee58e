"""PyOD's `LOF` as it comes."""

# pyright: reportMissingImports=false

from pyod.models.lof import LOF

from benchmarks.tables.contestants.detecting import detected
from benchmarks.tables.questions.anomalies import Rows, Scored


def score(rows: Rows, seed: int) -> Scored:
    return detected(LOF(), rows)
