"""Holes in tables of numbers, completely at random."""

from benchmarks.tables import data
from benchmarks.tables.holes import Posed, judged, posed
from benchmarks.tables.question import Measure, Question


def _pose(problem: str, setting: str, seed: int) -> Posed:
    return posed(data.numbers(problem), float(setting), seed)


IMPUTATION = Question(
    "imputation",
    "Cells of tables of numbers, hidden at random: the setting is the share that is hidden.",
    "impute",
    data.TABLES,
    ("0.1", "0.3", "0.5"),
    lambda problem: 3 if problem == "abalone" else 5,
    _pose,
    judged,
    (
        Measure("rmse", "RMSE of hidden cells, in standard deviations of the whole column", "low"),
        Measure("crps", "CRPS of hidden cells, in standard deviations of the whole column", "low"),
        Measure("coverage", "share of hidden cells inside central intervals of 95 %", ""),
        Measure("seconds", "seconds of one processor", "", 1),
    ),
)
