"""What stands in the place of a figure: the figure itself, or why there is none."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tightbound.report.theme import DARK, LIGHT, WIDTH, Theme, draw_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Exhibit(NamedTuple):
    """One figure with its words; `dark` equals `light` where the picture suits both."""

    name: str
    title: str
    caption: str
    light: bytes
    dark: bytes
    wide: bool = False


class Lack(NamedTuple):
    """A figure that cannot be drawn, and the record that it waits for."""

    title: str
    file: str


class Needless(NamedTuple):
    """A figure that says nothing of a model without a posterior."""

    title: str


Shown = Exhibit | Lack | Needless
NO_POSTERIOR = (
    "The model has no posterior q(z|x), and needs none: log p(x) is computed as it is, not by "
    "draws, so that there are neither weights nor latent units of q to judge."
)


def chart(
    name: str,
    title: str,
    caption: str,
    draw: "Callable[[Figure, Theme], None]",
    *,
    height: float = 3.0,
    width: float = WIDTH,
) -> Exhibit:
    """A figure in both themes; one wider than half of a page has all of it."""
    light, dark = (draw_png(draw, theme, width=width, height=height) for theme in (LIGHT, DARK))
    return Exhibit(name, title, caption, light, dark, wide=width > WIDTH)
