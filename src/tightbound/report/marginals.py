"""Each column of a table by itself: how its real values and the model's draws are spread."""

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tightbound.report.table import MOST_COLUMNS, Table, TableColumn, shortened
from tightbound.report.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 5
SHADE = 0.5
_BINS = (8, 24)  # least and most, in between 2 n^(1/3) (Rice's rule)
_LEVELS = 6
_WHOLE = 30  # whole numbers up to so many values have a bar each
_TAIL = 0.01  # of real values beyond the frame on either side, at most
_LOG_FROM = 30.0  # positive columns over such a factor are shown by their logarithms


def rows_of_panels(table: Table) -> int:
    """How many rows of panels the figure has."""
    return math.ceil(min(len(table.columns), MOST_COLUMNS) / ACROSS)


def draw_marginals(figure: "Figure", theme: Theme, *, table: Table) -> None:
    """A panel a column: real values filled, draws as a line; of levels two bars each."""
    from matplotlib.patches import Patch

    grid = figure.subplots(rows_of_panels(table), ACROSS, squeeze=False).ravel()
    for place, axes in enumerate(grid):
        if place >= min(len(table.columns), MOST_COLUMNS):
            axes.set_axis_off()
            continue
        column = table.columns[place]
        real, sampled = (rows[:, place] for rows in (table.real, table.sampled))
        real, sampled = (values[np.isfinite(values)] for values in (real, sampled))
        draw = _draw_levels if column.levelled else _draw_numbers
        draw(axes, column, real, sampled, theme)
        axes.set_title(column.title, fontsize=8.5, parse_math=False)
    patches = [
        Patch(color=theme.second, alpha=SHADE, label="real (test rows)"),
        Patch(color=theme.main, label="drawn from the model"),
    ]
    figure.legend(handles=patches, loc="outside upper left", ncols=2)


def _draw_numbers(
    axes: "Axes",
    column: TableColumn,
    real: Float[np.ndarray, " n"],
    sampled: Float[np.ndarray, " m"],
    theme: Theme,
) -> None:
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    if not len(real):
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no value known", ha="center", color=theme.muted)
        return
    logarithmic = _logarithmic(column, real)
    edges = _edges(column, real, logarithmic=logarithmic)
    for values, filled in ((real, True), (sampled, False)):
        # What is beyond the frame is counted at its ends: a share that is not seen is not told.
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        share = counts / max(len(values), 1)
        if filled:
            axes.stairs(share, edges, fill=True, color=theme.second, alpha=SHADE)
        else:
            axes.stairs(share, edges, color=theme.main, linewidth=1.3)
    if logarithmic:
        axes.set_xscale("log")
    axes.tick_params(axis="x", labelsize=7)
    if not logarithmic:
        axes.locator_params(axis="x", nbins=4)
    else:
        axes.minorticks_off()


def _logarithmic(column: TableColumn, real: Float[np.ndarray, " n"]) -> bool:
    return column.kind == "positive" and bool(
        real.min() > 0 and real.max() > _LOG_FROM * real.min()
    )


def _edges(
    column: TableColumn, real: Float[np.ndarray, " n"], *, logarithmic: bool
) -> Float[np.ndarray, " edges"]:
    low, high = np.quantile(real, (_TAIL, 1 - _TAIL))
    bins = int(np.clip(round(2 * len(real) ** (1 / 3)), *_BINS))
    if logarithmic:
        return np.geomspace(low / 1.5, high * 1.5, bins + 1)
    if column.kind == "count" and high - low < _WHOLE:
        return np.arange(math.floor(low), math.ceil(high) + 2) - 0.5
    room = 0.15 * (high - low) or 0.5
    return np.linspace(low - room, high + room, bins + 1)


def _draw_levels(
    axes: "Axes",
    column: TableColumn,
    real: Float[np.ndarray, " n"],
    sampled: Float[np.ndarray, " m"],
    theme: Theme,
) -> None:
    counts = [_counts(values, len(column.levels)) for values in (real, sampled)]
    order = np.argsort(-counts[0], kind="stable")
    order = np.sort(order[:_LEVELS]) if column.kind == "ordinal" else order[:_LEVELS]
    names = [shortened(column.levels[level], 9) for level in order]
    shares = [of[order] for of in counts]
    if len(column.levels) > len(order):
        names.append(f"{len(column.levels) - len(order)} others")
        shares = [np.append(of, 1 - of.sum()) for of in shares]
    places = np.arange(len(names))
    for shift, share, color, alpha in zip(
        (-0.2, 0.2), shares, (theme.second, theme.main), (SHADE, 1.0), strict=True
    ):
        axes.barh(places + shift, share, height=0.38, color=color, alpha=alpha)
    axes.set_yticks(places, names, fontsize=7, parse_math=False)
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.tick_params(axis="x", labelsize=7)
    axes.locator_params(axis="x", nbins=3)


def _counts(values: Float[np.ndarray, " n"], levels: int) -> Float[np.ndarray, " levels"]:
    """The share of each level."""
    numbers = np.clip(np.rint(values), 0, levels - 1).astype(int)
    return np.bincount(numbers, minlength=levels) / max(len(values), 1)
