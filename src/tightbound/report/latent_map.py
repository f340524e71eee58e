"""Latent space in two dimensions: where the data lie, and what is decoded there.

Reference: Kingma & Welling 2014, arXiv 1312.6114, figure 4 (the grid of decoded items).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from tightbound.report.pictures import tiled, value_range
from tightbound.report.theme import LIGHT, Theme, draw_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 200
"""Of the density, along each axis."""
HELD = (0.95, 0.5)
"""Shares of the data that the contours hold."""
MOST_LABELS = 10
"""More labels than these have no colours that can be told apart."""
TICKS = (-2, -1, 0, 1, 2)
"""Values of z at the edges of a manifold."""
FADED = 0.85
"""How much of a picture is hidden where there are no data."""
FURTHEST = 0.002
"""Share of draws that a map may leave out at each end."""


class Labels(NamedTuple):
    """The label of each point."""

    numbers: Int[np.ndarray, " n"]
    """From 0; -1 where one is not known."""
    names: tuple[str, ...]


class Manifold(NamedTuple):
    """Decoded items on a square grid of Phi(z), the first row where the second z is largest."""

    items: Float[np.ndarray, "cells d"]
    shape: tuple[int, int]
    """Height and width of a picture."""


class Contours(NamedTuple):
    """A density of points in the plane on a grid of cells."""

    x: Float[np.ndarray, " bins"]
    y: Float[np.ndarray, " bins"]
    density: Float[np.ndarray, "bins bins"]
    """Rows are values of y; it sums to one."""
    levels: tuple[float, ...]
    """At which the regions of highest density hold the shares of `HELD`, from the lowest."""


def map_png(
    points: Float[np.ndarray, "n 2"],
    draws: Float[np.ndarray, "m 2"],
    names: tuple[str, str],
    *,
    labels: Labels | None = None,
    manifold: Manifold | None = None,
) -> bytes:
    """A map as PNG: points by their labels over the density of draws, beside it the manifold.

    Args:
        points: A point for each row, such as its mean.
        draws: Points whose density is shown by contours that hold half and 95 % of them.
        names: Of the axes.
        labels: Of the points; without them all have one colour.
        manifold: Items decoded on a grid, of a z with a standard normal prior.
    """
    contours = density(draws)

    def draw(figure: "Figure", theme: Theme) -> None:
        panels = figure.subplots(1, 1 if manifold is None else 2, squeeze=False)[0]
        _draw_points(panels[0], theme, points, contours, names, labels)
        ends = np.quantile(draws, (FURTHEST, 1 - FURTHEST), axis=0)
        low, high = np.minimum(ends[0], points.min(axis=0)), np.maximum(ends[1], points.max(axis=0))
        margin = 0.04 * np.maximum(high - low, 1e-6)
        (left, bottom), (right, top) = low - margin, high + margin
        panels[0].set(xlim=(left, right), ylim=(bottom, top))
        if manifold is not None:
            _draw_manifold(panels[1], theme, points, draws, labels, manifold)

    return draw_png(draw, LIGHT, width=6.4 if manifold is None else 11.4, height=5.2)


def density(draws: Float[np.ndarray, "m 2"], box: tuple[float, float] | None = None) -> Contours:
    """The density of points, smoothed by normals of Scott's width (Scott 1992).

    Args:
        draws: The points.
        box: Limits of both coordinates beyond which there are none, where the density is reflected;
            left out it reaches as far as the points do, and a few widths on.
    """
    draws = np.asarray(draws, np.float64)
    spread = draws.std(axis=0)
    spread = np.where(spread > 0, spread, max(spread.max(), 1e-6))
    # Draws of one row depend on each other, so that the width is that of fewer points.
    width = spread * min(len(draws), 2000) ** (-1 / 6)
    if box is None:
        low, high = draws.min(axis=0) - 3 * width, draws.max(axis=0) + 3 * width
    else:
        low, high = (np.full(2, end) for end in box)
    edges = [np.linspace(*ends, BINS + 1) for ends in zip(low, high, strict=True)]
    counts, *_ = np.histogram2d(draws[:, 0], draws[:, 1], bins=edges)
    cells = (high - low) / BINS
    mode = "constant" if box is None else "reflect"
    smooth = gaussian_filter(counts, width / cells, mode=mode).T
    smooth /= smooth.sum()
    ranked = np.sort(smooth, axis=None)[::-1]
    held = np.cumsum(ranked)
    levels = [float(ranked[min(np.searchsorted(held, share), held.size - 1)]) for share in HELD]
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    return Contours(middles[0], middles[1], smooth, tuple(levels))


def _draw_points(
    axes: "Axes",
    theme: Theme,
    points: Float[np.ndarray, "n 2"],
    contours: Contours,
    names: tuple[str, str],
    labels: Labels | None,
) -> None:
    _shade(axes, theme, contours)
    size = float(np.clip(4000 / len(points), 3, 24))
    for kind, chosen, color in _groups(labels, len(points), theme):
        axes.scatter(*points[chosen].T, s=size, color=color, linewidths=0, alpha=0.8, label=kind)
    if labels is not None and len(labels.names) <= MOST_LABELS:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=18 / size)
    axes.set(xlabel=names[0], ylabel=names[1], title="means of z; half and 95 % of its draws")


def _shade(axes: "Axes", theme: Theme, contours: Contours) -> None:
    """Regions of highest density: shades, and lines around them."""
    low, high = contours.levels
    if not low < high < contours.density.max():
        return  # all points at one place
    grid = contours.x, contours.y, contours.density
    top = float(contours.density.max())
    axes.contourf(*grid, levels=[low, high, top], colors=[theme.grid, theme.idle], alpha=0.7)
    axes.contour(*grid, levels=[low, high], colors=theme.muted, linewidths=0.8)


def _draw_manifold(
    axes: "Axes",
    theme: Theme,
    points: Float[np.ndarray, "n 2"],
    draws: Float[np.ndarray, "m 2"],
    labels: Labels | None,
    manifold: Manifold,
) -> None:
    """The unit square of Phi(z), in which the prior is even: pictures, and the points on them."""
    side = int(np.sqrt(len(manifold.items)))
    sheet = tiled(manifold.items, manifold.shape, side)
    low, high = value_range(manifold.items)
    axes.imshow(sheet, cmap="gray", vmin=low, vmax=high, extent=(0, 1, 0, 1), aspect="auto")
    # Pictures fade where the data are rarer than under the prior, whose density is one.
    found = density(ndtr(draws), box=(0.0, 1.0)).density
    veil = np.ones((*found.shape, 4))
    veil[..., 3] = FADED * (1 - np.minimum(found * found.size, 1))
    axes.imshow(veil, extent=(0, 1, 0, 1), aspect="auto", origin="lower", interpolation="bilinear")
    size = float(np.clip(4000 / len(points), 3, 20))
    for _, chosen, color in _groups(labels, len(points), theme):
        at = ndtr(points[chosen]).T
        axes.scatter(*at, s=size, color=color, linewidths=0.4, edgecolors="white")
    at = ndtr(np.array(TICKS, float))
    axes.set_xticks(at, [f"{tick}" for tick in TICKS])
    axes.set_yticks(at, [f"{tick}" for tick in TICKS])
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="z1", ylabel="z2")
    axes.set_title("E[x|z] through the prior's quantiles, pale where data are rarer than its draws")


def _groups(
    labels: Labels | None, n: int, theme: Theme
) -> list[tuple[str, Int[np.ndarray, " g"], object]]:
    """Names, numbers and colours of the points of each label; grey where it is not known."""
    if labels is None or len(labels.names) > MOST_LABELS:
        return [("all", np.arange(n), theme.main)]
    from matplotlib import colormaps

    colors = colormaps["tab10"]
    found: list[tuple[str, Int[np.ndarray, " g"], object]] = [
        (name, np.flatnonzero(labels.numbers == number), colors(number))
        for number, name in enumerate(labels.names)
    ]
    found.append(("unknown", np.flatnonzero(labels.numbers < 0), theme.idle))
    return [group for group in found if len(group[1])]
