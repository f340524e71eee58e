"""Columns of a table in pairs: which depend on each other, in real rows and in drawn ones.

Reference: Spearman 1904, Am. J. Psychol. 15(1) (correlations of ranks); Miller 1955, "Note on the
bias of information estimates" (what mutual information of few rows is too large by).
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from tightbound.report.table import Table, TableColumn, shortened
from tightbound.report.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIRED = 6
"""Columns that are drawn against each other."""
MOST = 40
"""Columns in a matrix of correlations."""
_PARTS = 5  # of a column of numbers, each with as many real values
_LEVELS = 8
_POINTS = 250
_NAMED = 24  # more columns than these have no names at a matrix
_TAIL = 0.005


def dependent_columns(table: Table) -> list[int]:
    """Up to six columns, by place, of which one tells most of another in the real rows.

    A column counts as much as the largest mutual information that it has with another one, of
    fifths of numbers and of levels, less what rows as few as these have by chance.
    """
    d = len(table.columns)
    if d <= PAIRED:
        return list(range(d))
    parts = [_parted(table.real[:, j], column) for j, column in enumerate(table.columns)]
    told = np.zeros(d)
    for i in range(d):
        for j in range(i):
            found = mutual_information(parts[i], parts[j])
            told[[i, j]] = np.maximum(told[[i, j]], found)
    return sorted(np.argsort(-told, kind="stable")[:PAIRED].tolist())


def mutual_information(a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> float:
    """Mutual information in nats of two columns of numbers from 0 (-1: missing), less its bias."""
    some = (a >= 0) & (b >= 0)
    n = int(some.sum())
    if n < 2:
        return 0.0
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a[some], b[some]), 1 / n)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    full = joint > 0
    found = float(np.sum(joint[full] * np.log(joint[full] / apart[full])))
    rows, columns = (int((joint.sum(axis=axis) > 0).sum()) for axis in (1, 0))
    return found - (rows - 1) * (columns - 1) / (2 * n)


def _parted(values: Float[np.ndarray, " n"], column: TableColumn) -> Int[np.ndarray, " n"]:
    """Fifths of numbers, and numbers of levels of which rare ones count as one; -1 if missing."""
    some = np.isfinite(values)
    found = np.full(len(values), -1)
    if not some.any():
        return found
    if column.levelled:
        level = np.rint(values[some]).astype(int)
        names, counts = np.unique(level, return_counts=True)
        kept = names[np.argsort(-counts, kind="stable")[: _LEVELS - 1]]
        found[some] = np.argmax(level[:, None] == kept[None, :], axis=1)
        found[np.flatnonzero(some)[~np.isin(level, kept)]] = len(kept)
        return found
    ends = np.unique(np.quantile(values[some], np.arange(1, _PARTS) / _PARTS))
    found[some] = np.searchsorted(ends, values[some], side="left")
    return found


def draw_pairs(figure: "Figure", theme: Theme, *, table: Table, places: list[int]) -> None:
    """Each of some columns against each other, as many drawn rows as there are real ones."""
    from matplotlib.lines import Line2D

    m, shown = len(places), min(_POINTS, len(table.real), len(table.sampled))
    grid = figure.subplots(m - 1, m - 1, squeeze=False)
    noise = np.random.default_rng(0)  # moves points of levels apart, so that they can be seen
    for row in range(m - 1):
        for across in range(m - 1):
            axes = grid[row, across]
            if across > row:
                axes.set_axis_off()
                continue
            pair = places[across], places[row + 1]
            for rows, color in ((table.real, theme.second), (table.sampled, theme.main)):
                x, y = (_apart(rows[:shown, j], table.columns[j], noise) for j in pair)
                axes.scatter(x, y, s=4, color=color, alpha=0.6, linewidths=0)
            for j, axis in zip(pair, ("x", "y"), strict=True):
                _frame(axes, axis, table.real[:, j], table.columns[j])
            if row == m - 2:
                axes.set_xlabel(table.columns[pair[0]].title, fontsize=8, parse_math=False)
            if across == 0:
                axes.set_ylabel(table.columns[pair[1]].title, fontsize=8, parse_math=False)
            axes.set_xticks([])
            axes.set_yticks([])
    dots = [
        Line2D([], [], marker="o", linestyle="", color=color, label=label)
        for color, label in ((theme.second, "real (test rows)"), (theme.main, "drawn"))
    ]
    figure.legend(handles=dots, loc="outside upper right", ncols=2)


def _apart(
    values: Float[np.ndarray, " n"], column: TableColumn, noise: np.random.Generator
) -> Float[np.ndarray, " n"]:
    stirred = column.levelled or column.kind == "count"
    return values + noise.uniform(-0.3, 0.3, len(values)) if stirred else values


def _frame(axes: "Axes", axis: str, real: Float[np.ndarray, " n"], column: TableColumn) -> None:
    """Limits by the real values, so that one wild draw does not hide the others."""
    known = real[np.isfinite(real)]
    if not len(known):
        return
    low, high = np.quantile(known, (_TAIL, 1 - _TAIL))
    if column.levelled:
        low, high = 0, len(column.levels) - 1
    room = 0.25 * (high - low) or 1.0
    getattr(axes, f"set_{axis}lim")(low - room, high + room)


def ordered_columns(table: Table) -> list[int]:
    """Columns, by place, whose values have an order that ranks can be made of."""
    return [
        place
        for place, column in enumerate(table.columns)
        if not column.levelled or column.kind == "ordinal" or len(column.levels) == 2
    ][:MOST]


def rank_correlations(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "d d"]:
    """Spearman's correlation of each pair of columns, over the rows that know both."""
    d = rows.shape[1]
    found = np.eye(d)
    known = np.isfinite(rows)
    for i in range(d):
        for j in range(i):
            both: Bool[np.ndarray, " n"] = known[:, i] & known[:, j]
            found[i, j] = found[j, i] = _correlation(
                rankdata(rows[both, i]), rankdata(rows[both, j])
            )
    return found


def _correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def draw_correlations(figure: "Figure", theme: Theme, *, table: Table, places: list[int]) -> None:
    """Rank correlations of real rows, of drawn ones, and the second less the first."""
    real, drawn = (rank_correlations(rows[:, places]) for rows in (table.real, table.sampled))
    names = [shortened(table.columns[j].name, 14) for j in places]
    panels = {"real (test rows)": real, "drawn": drawn, "drawn less real": drawn - real}
    grid = figure.subplots(1, 3)
    images = []
    for axes, (title, matrix) in zip(grid, panels.items(), strict=True):
        images.append(axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1))
        axes.set_title(title)
        axes.set_facecolor(theme.idle)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks([])
    if len(places) <= _NAMED:
        grid[0].set_yticks(range(len(places)), names, fontsize=7, parse_math=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        apart = (drawn - real)[np.tril_indices(len(places), -1)]
        away = float(np.nanmean(np.abs(apart))) if len(apart) else 0.0
    grid[2].set_xlabel(f"mean absolute difference {away:.2f}", fontsize=8)
    bar = figure.colorbar(images[0], ax=grid.tolist(), shrink=0.7, pad=0.02)
    bar.outline.set_visible(False)
