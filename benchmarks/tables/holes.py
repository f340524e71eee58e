"""Tables with holes as contestants see them, what they fill in, and how that is judged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

import tightbound as tb

DRAWS = 200
"""Whole tables that a contestant with a distribution draws, where a question does not say less."""
LEVEL = 0.95

LogP = Callable[
    [Int[np.ndarray, " c"], Int[np.ndarray, " c"], Float[np.ndarray, " c"]], Float[np.ndarray, " c"]
]
"""Rows, columns and values of cells to nats of each value given what its row shows."""


@dataclass(frozen=True)
class Holed:
    """A table with holes."""

    x: Float[np.ndarray, "n d"]
    """NaN in holes; levels by their number from 0."""
    levels: tuple[int, ...]
    """How many levels each column has; 0 for numbers."""
    schema: "tb.data.Schema | None" = None
    draws: int = DRAWS

    @property
    def numbers(self) -> list[int]:
        """The columns of numbers."""
        return [j for j, count in enumerate(self.levels) if not count]

    @property
    def levelled(self) -> list[int]:
        """The columns of levels."""
        return [j for j, count in enumerate(self.levels) if count]


@dataclass(frozen=True)
class Filled:
    """What a contestant says of the holes; None for what it does not have."""

    x: Float[np.ndarray, "n d"]
    draws: Float[np.ndarray, "m n d"] | None = None
    log_p: LogP | None = None
    log_p_numbers: bool = True
    """Whether `log_p` is there for numbers too, and not for levels alone."""
    fit_seconds: float | None = None
    """The processor's seconds for the fit, of a contestant that fits and imputes apart."""


@dataclass(frozen=True)
class Posed:
    """A table, and what was hidden of it."""

    seen: Holed
    truth: Float[np.ndarray, "n d"]
    hidden: Bool[np.ndarray, "n d"]


def hide(x: Float[np.ndarray, "n d"], rate: float, seed: int) -> Bool[np.ndarray, "n d"]:
    """Which cells are hidden, completely at random; holes that are there are none of them.

    With one seed, what is hidden at a low rate is hidden at all higher ones.
    """
    return (np.random.default_rng(seed).random(x.shape) < rate) & ~np.isnan(x)


def posed(
    x: Float[np.ndarray, "n d"],
    rate: float,
    seed: int,
    schema: "tb.data.Schema | None" = None,
    draws: int = DRAWS,
) -> Posed:
    """The table with cells hidden."""
    hidden = hide(x, rate, seed)
    levels = (0,) * x.shape[1] if schema is None else tuple(len(c.levels) for c in schema.columns)
    return Posed(Holed(np.where(hidden, np.nan, x), levels, schema, draws), x, hidden)


def judged(asked: Posed, answer: Filled) -> dict[str, float | None]:
    """Measures over all hidden cells of a kind; None where there are none, or no distribution.

    Numbers are standardised by the means and deviations of the table before cells were hidden.

    Raises:
        ValueError: A hole was left.
    """
    if not np.isfinite(answer.x[asked.hidden]).all():
        raise ValueError("a hole was left, or filled by no number")
    rows, columns = np.nonzero(asked.hidden)
    truth = asked.truth[rows, columns]
    of_levels = np.isin(columns, asked.seen.levelled)
    found = _of_numbers(asked, answer, rows[~of_levels], columns[~of_levels])
    found["fit_seconds"] = answer.fit_seconds
    wrong = np.rint(answer.x[rows, columns]) != truth
    found["level_error"] = float(np.mean(wrong[of_levels])) if of_levels.any() else None
    found["log_p_levels"] = found["log_p_numbers"] = None
    if answer.log_p is not None:
        for name, some in (("levels", of_levels), ("numbers", ~of_levels)):
            if some.any() and (name == "levels" or answer.log_p_numbers):
                nats = answer.log_p(rows[some], columns[some], truth[some])
                found[f"log_p_{name}"] = float(np.mean(nats))
    return found


def _of_numbers(
    asked: Posed, answer: Filled, rows: Int[np.ndarray, " c"], columns: Int[np.ndarray, " c"]
) -> dict[str, float | None]:
    if not len(rows):
        return dict.fromkeys(("rmse", "mae", "crps", "coverage"))
    scale = np.nanstd(asked.truth, axis=0)[columns]
    truth = asked.truth[rows, columns]
    off = (answer.x[rows, columns] - truth) / scale
    found: dict[str, float | None] = {
        "rmse": float(np.sqrt(np.mean(off**2))),
        "mae": float(np.mean(np.abs(off))),
        "crps": None,
        "coverage": None,
    }
    if answer.draws is not None:
        draws = answer.draws[:, rows, columns]
        # So that of as many draws from the truth the interval covers its level, and not less.
        ends = (1 - LEVEL) / 2, (1 + LEVEL) / 2
        low, high = np.quantile(draws, ends, axis=0, method="weibull")
        found["crps"] = float(np.mean(crps(draws, truth) / scale))
        found["coverage"] = float(np.mean((low <= truth) & (truth <= high)))
    return found


def crps(
    draws: Float[np.ndarray, "m c"], truth: Float[np.ndarray, " c"]
) -> Float[np.ndarray, " c"]:
    """The continuous ranked probability score E|X - y| - E|X - X'| / 2, without bias from draws.

    Reference: Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102(477), eq. 21; of distinct pairs of
    draws alone, Zamo & Naveau 2018, Math. Geosci. 50(2) ("fair").
    """
    m = len(draws)
    ranks = 2 * np.arange(1, m + 1) - m - 1
    spread = np.tensordot(ranks, np.sort(draws, axis=0), axes=1) / (m * (m - 1))
    return np.mean(np.abs(draws - truth), axis=0) - spread
