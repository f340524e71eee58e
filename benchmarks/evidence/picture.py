"""Errors against evaluations, a panel for each problem."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from benchmarks.evidence.contestants import CONTESTANTS, OURS
from benchmarks.evidence.race import ANSWERED
from benchmarks.evidence.table import CLOSE, cost
from tightbound.report.theme import LIGHT, Theme, draw_png

COLUMNS = 6
LEAST = 1e-4
"""Errors below it are drawn at it."""
MARKERS = "osD^vPX"
COLOURS = ("#1f6f8b", "#c8650c", "#5d6776", "#7a4fa3", "#3d8a4d", "#b3261e", "#9a7b1f")


def picture(rows: Sequence[dict[str, Any]]) -> bytes:
    """A PNG: |error| in nats over evaluations (a gradient for three), both on logarithmic axes.

    Who gave no answer is not in its panel; a hollow mark is an answer that its own verdict, or
    three times the error claimed, does not stand for.
    """
    names = list(dict.fromkeys(row["problem"] for row in rows))
    lines = math.ceil(len(names) / COLUMNS)

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots(
            lines, min(COLUMNS, len(names)), squeeze=False, sharex=True, sharey=True
        )
        for axis in axes.flat[len(names) :]:
            axis.set_visible(False)
        for axis, name in zip(axes.flat, names, strict=False):
            axis.set(xscale="log", yscale="log")
            for scale in (axis.xaxis, axis.yaxis):
                scale.set_minor_formatter(NullFormatter())
            axis.set_title(name)
            axis.grid(visible=True)
            axis.axhline(CLOSE, color=theme.ink, linewidth=0.8)
            for row in rows:
                if row["problem"] == name:
                    _mark(axis, row, theme)
        for axis in axes[:, 0]:
            axis.set_ylabel("|error|, nats")
        for axis in axes.flat[max(len(names) - COLUMNS, 0) : len(names)]:
            axis.set_xlabel("evaluations")
            axis.tick_params(labelbottom=True)
        shown = {row["contestant"] for row in rows if row["status"] == ANSWERED}
        handles = [
            Line2D([], [], linestyle="", marker=marker, color=colour, label=c.name)
            for c, marker, colour in zip(CONTESTANTS, MARKERS, COLOURS, strict=True)
            if c.name in shown
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(CONTESTANTS))

    width = 2.1 * max(min(COLUMNS, len(names)), 3)
    return draw_png(draw, LIGHT, width=width, height=1.7 * lines + 0.8)


def _mark(axis: Any, row: dict[str, Any], theme: Theme) -> None:
    asked = cost(row)
    if row["status"] != ANSWERED or not asked or not math.isfinite(row["off"]):
        return
    number = next(i for i, c in enumerate(CONTESTANTS) if c.name == row["contestant"])
    claimed = row["error"]
    stands = row["verdict"] in ("", "trust") and (claimed is None or abs(row["off"]) <= 3 * claimed)
    axis.plot(
        asked,
        max(abs(row["off"]), LEAST),
        linestyle="",
        marker=MARKERS[number],
        markersize=6 if row["contestant"] == OURS else 4.5,
        color=COLOURS[number],
        markerfacecolor=COLOURS[number] if stands else theme.paper,
        zorder=3 if row["contestant"] == OURS else 2,
    )
