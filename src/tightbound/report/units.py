"""Which latent units carry information: activity, KL and spectrum of every layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tightbound.report.records import Records
from tightbound.report.theme import Theme, horizontal_grid, marked_line, whole_ticks
from tightbound.report.values import as_mapping, as_number, as_numbers, as_sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Layer(NamedTuple):
    """One latent layer: variances over the data of the posterior means, and what they imply."""

    name: str
    variance: Float[np.ndarray, " units"]
    kl: Float[np.ndarray, " units"] | None  # nats; None where no closed form exists
    spectrum: Float[np.ndarray, " eigenvalues"]
    active: int
    threshold: float


def layers(records: Records) -> list[Layer]:
    """The layers of `units.json`, lowest first."""
    threshold = as_number(records.units.get("threshold"))
    threshold = threshold if threshold > 0 else 0.01
    return [
        _layer(as_mapping(entry), index, threshold)
        for index, entry in enumerate(as_sequence(records.units.get("layers")), start=1)
        if as_sequence(as_mapping(entry).get("variance"))
    ]


def _layer(entry: Mapping[str, Any], index: int, threshold: float) -> Layer:
    variance = as_numbers(entry.get("variance"))
    kl = as_numbers(entry.get("kl"))
    active = as_number(entry.get("active"))
    return Layer(
        name=str(entry.get("name") or f"layer {index}"),
        variance=variance,
        kl=kl if len(kl) == len(variance) else None,
        spectrum=as_numbers(entry.get("spectrum")),
        active=int(active) if np.isfinite(active) else int((variance > threshold).sum()),
        threshold=threshold,
    )


def draw_active_units(figure: "Figure", theme: Theme, *, found: list[Layer]) -> None:
    """A column a layer: sorted activity, KL of the same units, spectrum of the posterior means."""
    grid = figure.add_gridspec(3, len(found), height_ratios=[1.5, 1, 1.1])
    for column, layer in enumerate(found):
        order = np.argsort(-np.where(np.isfinite(layer.variance), layer.variance, -np.inf))
        colors = [theme.main if layer.variance[u] > layer.threshold else theme.idle for u in order]
        activity, kl, spectrum = (figure.add_subplot(grid[row, column]) for row in range(3))
        _draw_activity(activity, layer, layer.variance[order], colors, theme)
        _draw_kl(kl, layer, order, colors, theme)
        _draw_spectrum(spectrum, layer, theme)


def _log10(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    # Exact zeros (a collapsed unit) have no logarithm: a floor shows them as lowest of all.
    positive = values[np.isfinite(values) & (values > 0)]
    floor = positive.min() / 10 if len(positive) else 1e-6
    return np.log10(np.where(np.isfinite(values), np.maximum(values, floor), np.nan))


def _log_ticks(axes: "Axes") -> None:
    whole_ticks(axes.yaxis, 5)
    axes.yaxis.set_major_formatter(
        lambda value, _: f"10{str(round(value)).translate(_SUPERSCRIPT)}"
    )


def _draw_activity(
    axes: "Axes",
    layer: Layer,
    variance: Float[np.ndarray, " units"],
    colors: list[str],
    theme: Theme,
) -> None:
    horizontal_grid(axes)
    line = np.log10(layer.threshold)
    height = np.nan_to_num(_log10(variance) - line)
    # Bars leave the threshold upwards or downwards: the sign is the verdict on the unit.
    axes.bar(np.arange(1, len(height) + 1), height, bottom=line, color=colors, width=0.8)
    marked_line(axes, theme, float(line), f"active above {layer.threshold:g}")
    axes.margins(x=0.01)
    _log_ticks(axes)
    axes.set_title(f"{layer.name}: {layer.active} of {len(variance)} units active")
    axes.set_ylabel("activity $A_u$")
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _draw_kl(
    axes: "Axes",
    layer: Layer,
    order: Int[np.ndarray, " units"],
    colors: list[str],
    theme: Theme,
) -> None:
    horizontal_grid(axes)
    axes.set_ylabel("KL, nats")
    if layer.kl is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines["bottom"].set_visible(False)
        axes.text(
            0.5,
            0.5,
            "no closed form for this layer",
            color=theme.muted,
            ha="center",
            va="center",
            transform=axes.transAxes,
        )
        return
    kl = layer.kl[order]
    axes.bar(
        np.arange(1, len(order) + 1), np.where(np.isfinite(kl), kl, 0), color=colors, width=0.8
    )
    axes.margins(x=0.01)
    axes.set_xlabel("unit, most active first")
    whole_ticks(axes.xaxis)


def _draw_spectrum(axes: "Axes", layer: Layer, theme: Theme) -> None:
    horizontal_grid(axes)
    axes.set_ylabel("eigenvalue")
    axes.set_xlabel("direction of the posterior means, largest first")
    values = layer.spectrum[np.isfinite(layer.spectrum)]
    if not len(values):
        axes.set_xticks([])
        axes.set_yticks([])
        return
    values = np.sort(values)[::-1]
    axes.axhline(np.log10(layer.threshold), color=theme.ink, linewidth=1)
    axes.plot(
        np.arange(1, len(values) + 1), _log10(values), color=theme.main, lw=1.2, marker="o", ms=2.8
    )
    axes.margins(x=0.02)
    whole_ticks(axes.xaxis)
    _log_ticks(axes)
