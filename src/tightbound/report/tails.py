"""How heavy the tails of the importance weights are: the Pareto index of every item."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tightbound.report.text import percent
from tightbound.report.theme import Theme, horizontal_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Beyond 0.7 an estimate converges slowly; beyond 1 the fitted tail has no mean (Vehtari, 2024).
KHAT_WORRY = 0.7
KHAT_BAD = 1.0
_KHAT_RANGE = (-0.5, 2.0)


def draw_khat(figure: "Figure", theme: Theme, *, khat: Float[np.ndarray, "seeds n"]) -> None:
    """Histogram of the Pareto tail index, seeds pooled, with the lines 0.7 and 1."""
    finite = khat[np.isfinite(khat)]
    low, high = _KHAT_RANGE
    edges = np.round(np.arange(low, high + 0.05, 0.1), 1)
    counts, _ = np.histogram(np.clip(finite, low, high), edges)
    centers = (edges[1:] + edges[:-1]) / 2
    axes = figure.add_subplot()
    horizontal_grid(axes)
    colors = [
        theme.bad if c > KHAT_BAD else theme.second if c > KHAT_WORRY else theme.main
        for c in centers
    ]
    axes.bar(centers, counts, width=0.088, color=colors)
    for line in (KHAT_WORRY, KHAT_BAD):
        axes.axvline(line, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
    notes = [
        (f"{percent(share_above(khat, KHAT_WORRY))} above 0.7", theme.second),
        (f"{percent(share_above(khat, KHAT_BAD))} above 1", theme.bad),
    ]
    if len(finite) < khat.size:
        notes.append((f"{khat.size - len(finite)} not finite", theme.muted))
    for row, (note, color) in enumerate(notes):
        axes.text(
            0.99,
            0.97 - 0.09 * row,
            note,
            color=color,
            ha="right",
            va="top",
            transform=axes.transAxes,
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5},
        )
    axes.set_xticks([-0.5, 0, 0.7, 1, 1.5, 2], ["≤−0.5", "0", "0.7", "1", "1.5", "≥2"])
    axes.set_xlabel("Pareto tail index k̂ of the importance weights")
    axes.set_ylabel("items")


def share_above(khat: Float[np.ndarray, "seeds n"], line: float) -> float:
    """Share of all items whose index is beyond a line; a NaN index counts as beyond."""
    return float(1 - (khat <= line).mean()) if khat.size else float("nan")
