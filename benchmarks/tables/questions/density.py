"""Densities of test rows.

Files round numbers, and a density of rounded numbers has no bound: it is as high as the narrowest
spike that a contestant allows itself. So each number is moved at random within its last decimal
place, the same for all contestants; then the expected log-density is bounded by the log-probability
of the rounded row (Theis et al. 2016, arXiv 1511.01844, section 3.1).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from benchmarks.tables import data
from benchmarks.tables.question import Measure, Question

MOST_DECIMALS = 7


@dataclass(frozen=True)
class Split:
    """80 % of the rows, 10 % to stop and to choose by, and 10 % whose density is asked."""

    train: Float[np.ndarray, "n d"]
    validation: Float[np.ndarray, "v d"]
    test: Float[np.ndarray, "m d"]


@dataclass(frozen=True)
class PosedSplit:
    """Nothing is hidden but what the density is."""

    seen: Split


def resolution(column: Float[np.ndarray, " n"]) -> float:
    """The step of a column's last decimal place; 0 where it has more than seven of them."""
    for decimals in range(MOST_DECIMALS + 1):
        if np.allclose(np.round(column, decimals), column, rtol=0, atol=1e-9):
            return 10.0**-decimals
    return 0.0


def split(x: Float[np.ndarray, "n d"], seed: int) -> Split:
    """Rows in a random order, each number moved within its last place."""
    rng = np.random.default_rng(seed)
    steps = np.array([resolution(column) for column in x.T])
    x = x[rng.permutation(len(x))] + steps * (rng.random(x.shape) - 0.5)
    first, second = round(0.8 * len(x)), round(0.9 * len(x))
    return Split(x[:first], x[first:second], x[second:])


def _table(problem: str) -> Float[np.ndarray, "n d"]:
    return data.outliers(problem)[0] if problem in data.ADBENCH else data.numbers(problem)


def _pose(problem: str, setting: str, seed: int) -> PosedSplit:
    del setting
    return PosedSplit(split(_table(problem), seed))


def _judged(asked: PosedSplit, answer: Float[np.ndarray, " m"]) -> dict[str, float | None]:
    assert answer.shape == (len(asked.seen.test),)
    return {"nll": float(-np.mean(answer))}


DENSITY = Question(
    "density",
    "Rows split 80 / 10 / 10 %; numbers moved at random within their last decimal place.",
    "log_density",
    (*data.TABLES, "wine-white", *data.ADBENCH),
    ("",),
    lambda problem: 5,
    _pose,
    _judged,
    (
        Measure("nll", "-log p(row), nats per row in the data's units", "low", 2),
        Measure("seconds", "seconds of one processor", "", 1),
    ),
)
