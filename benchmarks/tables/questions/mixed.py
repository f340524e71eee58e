"""Holes in tables of numbers and levels side by side."""

from benchmarks.tables import data
from benchmarks.tables.holes import Posed, judged, posed
from benchmarks.tables.question import Measure, Question

RATE = 0.3
REAL_HOLES = {"horse-colic": 0.1}
"""A table that has holes of its own: so many of its known cells are hidden besides."""


def _pose(problem: str, setting: str, seed: int) -> Posed:
    del setting
    x, schema = data.mixed(problem)
    return posed(x, REAL_HOLES.get(problem, RATE), seed, schema)


MIXED = Question(
    "mixed",
    "Cells of tables with levels, hidden at random: 30 %, of horse-colic 10 % of the known ones.",
    "impute",
    data.MIXED,
    ("",),
    lambda problem: 5,
    _pose,
    judged,
    (
        Measure("rmse", "numbers: RMSE, in standard deviations of the whole column", "low"),
        Measure("level_error", "levels: share of hidden cells that are wrong", "low"),
        Measure("log_p_levels", "levels: mean log p(hidden cell | known cells), nats", "high"),
        Measure(
            "log_p_numbers",
            "numbers: mean log p(hidden cell | known cells), nats in the data's units",
            "high",
        ),
        Measure("coverage", "share of hidden numbers inside central intervals of 95 %", ""),
        Measure("seconds", "seconds of one processor", "", 1),
    ),
)
