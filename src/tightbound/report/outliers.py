"""Unusual pictures, the pixels to blame, and what was expected of them."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.report.pictures import value_range
from tightbound.report.theme import LIGHT, Theme, draw_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABREAST = 2
"""Outliers in one line."""
PANELS = 3


class Outlier(NamedTuple):
    """One picture that is unusual under a model."""

    title: str
    x: Float[np.ndarray, "height width"]
    """The picture, NaN where a pixel is missing."""
    below: Float[np.ndarray, "height width"]
    """How far log p(pixel | rest) is below what is usual for the pixel, in nats."""
    expected: Float[np.ndarray, "height width"]
    """E[pixel | rest]."""


def outliers_png(outliers: list[Outlier]) -> bytes:
    """PNG of all of them: the picture, the blame of each pixel, and what was expected.

    One scale of blame serves all, from 0, as usual or more likely than that, to the largest.
    """
    lines = -(-len(outliers) // ABREAST)
    columns = min(ABREAST, len(outliers))
    most = max(_most(outlier.below) for outlier in outliers)
    limits = value_range(*(one for outlier in outliers for one in (outlier.x, outlier.expected)))

    def draw(figure: "Figure", theme: Theme) -> None:
        grid = figure.subplots(lines, columns * PANELS, squeeze=False)
        heat = None
        for axes in grid.flat:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            axes.set_facecolor(theme.paper)
        for number, outlier in enumerate(outliers):
            line, first = number // ABREAST, number % ABREAST * PANELS
            left, middle, right = grid[line, first : first + PANELS]
            for axes in (left, middle):
                axes.set_facecolor(theme.second)  # seen where a pixel is missing
            for axes, picture in ((left, outlier.x), (right, outlier.expected)):
                axes.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1])
            heat = middle.imshow(np.maximum(outlier.below, 0), cmap="inferno", vmin=0, vmax=most)
            left.set_title(outlier.title, fontsize=8)
            middle.set_title("blame", fontsize=8, loc="center")
            right.set_title("expected", fontsize=8, loc="center")
        if heat is not None:
            bar = figure.colorbar(heat, ax=grid.ravel().tolist(), shrink=0.8, pad=0.02)
            bar.outline.set_visible(False)
            bar.set_label("nats less likely than usual, given the rest")

    height, width = outliers[0].x.shape
    tall = 1.5 * height / width + 0.35
    return draw_png(draw, LIGHT, width=1.55 * PANELS * columns + 1.1, height=tall * lines + 0.2)


def _most(below: Float[np.ndarray, "height width"]) -> float:
    finite = below[np.isfinite(below)]
    return max(float(finite.max()), 1e-6) if finite.size else 1e-6
