"""Sheets of pictures pixel by pixel, and heat maps for data that are no pictures."""

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from tightbound.report.records import Records
from tightbound.report.theme import Theme, whole_ticks
from tightbound.report.values import as_number, as_sequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 10
_TILE = 56  # aim at tiles of about this many pixels, whole multiples of the data's pixels
_GAP = 2
_PAIR_GAP = 12
_MOST_SAMPLES = 100
_MOST_PAIRS = 40
_MOST_ROWS = 40
_BROKEN = (214, 40, 90, 255)  # a pixel that is not finite
_MISSING = (120, 150, 200, 255)  # one of an original that is missing


def image_shape(records: Records, array: Float[np.ndarray, "m d"]) -> tuple[int, int] | None:
    """Height and width where the items are grey pictures, else None."""
    shape = [as_number(size) for size in as_sequence(records.data.get("shape"))]
    if len(shape) != 2 or not all(size >= 1 for size in shape):
        return None
    height, width = int(shape[0]), int(shape[1])
    return (height, width) if height * width == array.shape[1] else None


def value_range(*arrays: Float[np.ndarray, "m d"]) -> tuple[float, float]:
    """[0, 1] where every value lies in it, else the range of the finite values."""
    finite = np.concatenate([array[np.isfinite(array)] for array in arrays])
    if not finite.size or (finite.min() >= 0 and finite.max() <= 1):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low, low + 1.0)


def samples_sheet(
    samples: Float[np.ndarray, "m d"], shape: tuple[int, int], limits: tuple[float, float]
) -> bytes:
    """At most 100 samples, ten in a row."""
    tiles = _tiles(samples[:_MOST_SAMPLES], shape, limits)
    rows = math.ceil(len(tiles) / _COLUMNS)
    return _png(_place(tiles, min(_COLUMNS, len(tiles)), [_GAP] * (rows - 1)))


def pairs_sheet(
    originals: Float[np.ndarray, "m d"],
    reconstructions: Float[np.ndarray, "m d"],
    shape: tuple[int, int],
    limits: tuple[float, float],
) -> bytes:
    """Rows of ten originals, each row with its reconstructions right beneath."""
    pairs = min(len(originals), len(reconstructions), _MOST_PAIRS)
    columns = min(_COLUMNS, pairs)
    above = _tiles(originals[:pairs], shape, limits, gap=_MISSING)
    beneath = _tiles(reconstructions[:pairs], shape, limits)
    blank = np.zeros_like(above[0])
    tiles: list[np.ndarray] = []
    for start in range(0, pairs, columns):
        for row in (above[start : start + columns], beneath[start : start + columns]):
            tiles += [*row, *[blank] * (columns - len(row))]
    rows = len(tiles) // columns
    gaps = [_GAP if row % 2 == 0 else _PAIR_GAP for row in range(rows - 1)]
    return _png(_place(np.stack(tiles), columns, gaps))


def restored_sheet(
    columns: list[Float[np.ndarray, "m d"]], shape: tuple[int, int], limits: tuple[float, float]
) -> bytes:
    """A row for each item: what was seen of it, what is expected, draws, and the truth if known."""
    seen, *others = columns
    tiles = [_tiles(seen, shape, limits, gap=_MISSING)]
    tiles += [_tiles(column, shape, limits) for column in others]
    rows = np.stack(tiles, axis=1)
    return _png(_place(rows.reshape(-1, *rows.shape[2:]), len(columns), [_GAP] * (len(seen) - 1)))


def manifold_sheet(
    manifold: Float[np.ndarray, "m d"], shape: tuple[int, int], limits: tuple[float, float]
) -> bytes:
    """A square grid without gaps, row by row; pictures that fill no whole square are left out."""
    side = math.isqrt(len(manifold))
    return _png(_place(_tiles(manifold[: side * side], shape, limits), side, [0] * (side - 1), 0))


def tiled(
    array: Float[np.ndarray, "m d"], shape: tuple[int, int], columns: int
) -> Float[np.ndarray, "height width"]:
    """Items side by side as one picture of their own values, so many in each row of it."""
    height, width = shape
    whole = array[: len(array) // columns * columns].reshape(-1, columns, height, width)
    return whole.swapaxes(1, 2).reshape(-1, columns * width)


def _tiles(
    array: Float[np.ndarray, "m d"],
    shape: tuple[int, int],
    limits: tuple[float, float],
    *,
    gap: tuple[int, int, int, int] = _BROKEN,
) -> UInt8[np.ndarray, "m height width 4"]:
    low, high = limits
    grey = np.nan_to_num((array - low) / (high - low))
    level = np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8)
    pixels = np.stack([level, level, level, np.full_like(level, 255)], axis=-1)
    pixels[~np.isfinite(array)] = gap
    scale = max(1, round(_TILE / max(shape)))
    return pixels.reshape(-1, *shape, 4).repeat(scale, axis=1).repeat(scale, axis=2)


def _place(
    tiles: UInt8[np.ndarray, "m height width 4"], columns: int, gaps: list[int], gap: int = _GAP
) -> UInt8[np.ndarray, "sheet_height sheet_width 4"]:
    # What no tile covers stays transparent, so that one sheet suits a light and a dark page.
    _, height, width, _ = tiles.shape
    tops = np.concatenate([[0], np.cumsum([height + below for below in gaps])]).astype(int)
    sheet = np.zeros((tops[-1] + height, columns * (width + gap) - gap, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = tops[index // columns], index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _png(pixels: UInt8[np.ndarray, "height width 4"]) -> bytes:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    # None drops the entry with matplotlib's version, which the stubs do not know.
    metadata: Any = {"Software": None}
    imsave(buffer, pixels, format="png", dpi=100, metadata=metadata)
    return buffer.getvalue()


def draw_heat_maps(
    figure: "Figure",
    theme: Theme,
    *,
    panels: dict[str, Float[np.ndarray, "m d"]],
    limits: tuple[float, float],
) -> None:
    """First rows of every panel as heat maps of one colour scale, features from left to right.

    Values beyond [0, 1] are shown by their place in the range of their own feature, so that one in
    thousands does not hide the others. Missing values of originals are grey.
    """
    grid = figure.subplots(len(panels), 1, squeeze=False)
    image = None
    own_ranges = limits != (0.0, 1.0)
    if own_ranges:
        panels = _in_ranges(panels)
    for axes, (title, array) in zip(grid[:, 0], panels.items(), strict=True):
        image = axes.imshow(array[:_MOST_ROWS], aspect="auto", cmap="viridis", vmin=0.0, vmax=1.0)
        axes.set_title(title)
        axes.set_ylabel("item")
        axes.spines[:].set_visible(False)
        axes.set_facecolor(theme.idle if title == "originals" else theme.bad)
        whole_ticks(axes.xaxis)
        whole_ticks(axes.yaxis, 4)
    grid[-1, 0].set_xlabel("feature")
    if image is not None:
        bar = figure.colorbar(image, ax=grid[:, 0].tolist(), shrink=0.8, pad=0.02)
        bar.outline.set_visible(False)
        if own_ranges:
            bar.set_label("from the least to the largest value of each feature")


def _in_ranges(
    panels: dict[str, Float[np.ndarray, "m d"]],
) -> dict[str, Float[np.ndarray, "m d"]]:
    """The values from 0 to 1 between the least and the largest of each feature in all panels."""
    together = np.concatenate(list(panels.values())).astype(np.float64)
    finite = np.isfinite(together)
    low = np.where(finite, together, np.inf).min(axis=0)
    spread = np.where(finite, together, -np.inf).max(axis=0) - low
    low, spread = np.where(np.isfinite(low), low, 0.0), np.where(spread > 0, spread, 1.0)
    return {title: (array - low) / spread for title, array in panels.items()}
