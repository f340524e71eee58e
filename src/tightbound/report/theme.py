"""One look for every figure, light and dark, drawn without pyplot or global state."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DPI = 200
WIDTH = 4.8  # inches: half of the page on a desk, all of it on a phone


@dataclass(frozen=True)
class Theme:
    """Colours by meaning, so that one meaning has one colour in every figure and on the page."""

    paper: str
    ink: str
    muted: str
    grid: str
    main: str  # training, active units, trusted weights, draws of the model
    second: str  # validation, what deserves a second look, and real rows beside draws
    bad: str
    idle: str  # inactive units


LIGHT = Theme(
    paper="#ffffff",
    ink="#1d2430",
    muted="#5d6776",
    grid="#e6e9ee",
    main="#1f6f8b",
    second="#c8650c",
    bad="#b3261e",
    idle="#b9c0ca",
)
DARK = Theme(
    paper="#181d25",
    ink="#e8ebf0",
    muted="#9aa5b4",
    grid="#2b323d",
    main="#67bcd6",
    second="#f0a04b",
    bad="#f2766b",
    idle="#515b69",
)


def _settings(theme: Theme) -> dict[Any, Any]:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": theme.ink,
        "text.usetex": False,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "axes.labelsize": 9,
        "axes.labelcolor": theme.muted,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.grid,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "axes.formatter.useoffset": False,
        "axes.grid": False,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.major.pad": 5,
        "ytick.major.pad": 5,
        "lines.solid_capstyle": "round",
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "image.interpolation": "nearest",
        "savefig.bbox": None,
    }


def draw_png(
    draw: "Callable[[Figure, Theme], None]", theme: Theme, *, width: float, height: float
) -> bytes:
    """Draws a figure and returns it as PNG bytes, the same bytes for the same records.

    Args:
        draw: Fills an empty figure.
        theme: The colours.
        width: In inches; pixels are `DPI` times as many.
        height: In inches.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_settings(theme)), warnings.catch_warnings():
        # Names of columns may be in any script: an empty box stands for a letter without a picture.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height), facecolor=theme.paper)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        FigureCanvasAgg(figure)
        draw(figure, theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def horizontal_grid(axes: "Axes") -> None:
    """Light horizontal lines to read values from; no left spine, since the lines carry it."""
    axes.grid(visible=True, axis="y")
    axes.spines["left"].set_visible(False)


def marked_line(axes: "Axes", theme: Theme, height: float, label: str, **style: Any) -> None:
    """A horizontal line across the axes, with its words on its right end."""
    axes.axhline(height, color=theme.ink, linewidth=1, **style)
    axes.annotate(
        label,
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=theme.ink,
    )


def whole_ticks(axis: "Axis", most: int = 6) -> None:
    """Ticks at whole numbers only, for axes that count."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))
