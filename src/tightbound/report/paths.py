"""Paths through latent space as rows of pictures, each above the log-density of its codes."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.report.pictures import tiled, value_range
from tightbound.report.theme import LIGHT, Theme, draw_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_WIDE = 12.0
"""Inches of the widest picture."""


class Path(NamedTuple):
    """One path from a datum to another."""

    title: str
    ends: Float[np.ndarray, "2 d"]
    """The data themselves, NaN where values are missing."""
    items: Float[np.ndarray, "steps d"]
    """What is decoded on the way."""
    log_prior: Float[np.ndarray, " steps"]
    usual: tuple[float, float]
    """Between which log p(z) is for most draws of the prior."""


def paths_png(paths: list[Path], shape: tuple[int, int]) -> bytes:
    """PNG of all paths, one below the other: datum, what is decoded on the way, datum."""
    steps = max(len(path.items) for path in paths)
    width = min(MOST_WIDE, 0.8 * (steps + 2) + 1)

    def draw(figure: "Figure", theme: Theme) -> None:
        tile = (width - 1) / (steps + 2) * shape[0] / shape[1]
        heights = [max(tile, 0.3) + 0.3, 0.9] * len(paths)
        grid = figure.subplots(2 * len(paths), 1, height_ratios=heights, squeeze=False)[:, 0]
        for number, path in enumerate(paths):
            _draw_pictures(grid[2 * number], theme, path, shape)
            _draw_densities(grid[2 * number + 1], theme, path)
            grid[2 * number + 1].sharex(grid[2 * number])

    tile = (width - 1) / (steps + 2) * shape[0] / shape[1]
    return draw_png(draw, LIGHT, width=width, height=len(paths) * (max(tile, 0.3) + 1.6) + 0.3)


def _draw_pictures(axes: "Axes", theme: Theme, path: Path, shape: tuple[int, int]) -> None:
    items = np.concatenate([path.ends[:1], path.items, path.ends[1:]])
    steps = len(path.items)
    low, high = value_range(items)
    # The centre of a picture is at its step: data stand before the first and behind the last.
    extent = (-1.5, steps + 0.5, 0.0, 1.0)
    axes.set_facecolor(theme.idle)  # seen where values are missing
    sheet = tiled(items, shape, steps + 2)
    axes.imshow(sheet, cmap="gray", vmin=low, vmax=high, extent=extent, aspect="auto")
    for edge in (-0.5, steps - 0.5):
        axes.axvline(edge, color=theme.second, linewidth=2)
    axes.set_yticks([])
    axes.tick_params(labelbottom=False)
    axes.set_title(path.title)


def _draw_densities(axes: "Axes", theme: Theme, path: Path) -> None:
    axes.axhspan(*path.usual, color=theme.grid, linewidth=0)
    axes.plot(np.arange(len(path.log_prior)), path.log_prior, "o-", color=theme.main, markersize=4)
    axes.set_ylabel("log p(z)")
    axes.set_xticks([])
    axes.set_xlabel("band: 95 % of draws of the prior", fontsize=8)
