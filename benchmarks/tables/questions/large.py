"""A large table with holes: seconds and memory, and how they grow with rows and columns.

Rows are x = W tanh(V z + b) + 0.3 e with z ~ N(0, I_5) and e ~ N(0, I): entries of V (20 x 5) are
N(0, 1), of b N(0, 1), of W (d x 20) N(0, 1 / 20). The numbers come from
`numpy.random.default_rng(seed)`, in the order V, b, W, z, e; 30 % of the cells are hidden.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from benchmarks.tables.holes import Filled, Posed, judged, posed
from benchmarks.tables.question import Measure, Question

LATENT, UNITS, NOISE, RATE = 5, 20, 0.3, 0.3
DRAWS = 40
"""Whole tables that are drawn: the fewest that intervals of 95 % need."""


def table(n: int, d: int, seed: int) -> Float[np.ndarray, "n d"]:
    """Rows of the generator."""
    rng = np.random.default_rng(seed)
    inner, shift = rng.normal(size=(UNITS, LATENT)), rng.normal(size=UNITS)
    outer = rng.normal(size=(d, UNITS)) / np.sqrt(UNITS)
    hidden = np.tanh(rng.normal(size=(n, LATENT)) @ inner.T + shift)
    return hidden @ outer.T + NOISE * rng.normal(size=(n, d))


def _pose(problem: str, setting: str, seed: int) -> Posed:
    del setting
    n, d = map(int, problem.split("x"))
    # The mask has a generator of its own: that of the table has drawn other numbers.
    return posed(table(n, d, seed), RATE, seed + 1000, draws=DRAWS)


def _judged(asked: Posed, answer: Filled) -> dict[str, float | None]:
    """Without log p of the hidden cells, of which there are a million and a half."""
    return judged(asked, replace(answer, log_p=None))


LARGE = Question(
    "large",
    "A low-rank non-linear table (rows x columns), 30 % hidden at random.",
    "impute",
    ("5000x25", "5000x50", "5000x100", "12500x100", "25000x100", "50000x25", "50000x50",
     "50000x100"),
    ("",),
    lambda problem: 1,
    _pose,
    _judged,
    (
        Measure("fit_seconds", "seconds of one processor, to fit", "", 1),
        Measure("seconds", "seconds of one processor, to fit and to impute", "", 1),
        Measure("wall_seconds", "seconds of the clock, to fit and to impute", "", 1),
        Measure("peak_mb", "peak memory of the process, MB", "", 0),
        Measure("rmse", "RMSE of hidden cells, in standard deviations of the whole column", "low"),
        Measure("coverage", "share of hidden cells inside central intervals of 95 %", ""),
    ),
    fresh=True,
)  # fmt: skip
