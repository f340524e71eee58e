"""Two curves: the bound while training, and the bound against the number of samples k."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tightbound.report.bounds import EpochBounds
from tightbound.report.records import Records
from tightbound.report.text import count, number
from tightbound.report.theme import Theme, horizontal_grid, whole_ticks
from tightbound.report.values import as_mapping, as_number, as_sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The first epochs of a run span far more nats than all the others; showing them flattens the rest.
_SETTLED_FROM = 0.1
_ZOOM_WHEN = 2.5


def has_history(history: EpochBounds) -> bool:
    """Whether any epoch has a finite bound to draw."""
    return bool(np.isfinite(history.train).any() or np.isfinite(history.validation).any())


def draw_learning_curve(
    figure: "Figure", theme: Theme, *, history: EpochBounds, name: str = "bound"
) -> None:
    """Bound in nats per datum by epoch: thin lines are seeds, thick lines their mean."""
    axes = figure.add_subplot()
    horizontal_grid(axes)
    draw_seeds(axes, history.epoch, history.train, theme.main, "training")
    draw_seeds(axes, history.epoch, history.validation, theme.second, "validation")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{name}, nats per item")
    axes.margins(x=0.02)
    whole_ticks(axes.xaxis)
    axes.legend(loc="lower right")
    _zoom_on_settled_part(axes, history, theme)


def draw_seeds(
    axes: "Axes",
    epoch: Float[np.ndarray, " epochs"],
    table: Float[np.ndarray, "epochs seeds"],
    color: str,
    label: str,
) -> None:
    """A thin line for each seed and a thick one for their mean, over the epochs that have any."""
    # Validation may be computed at some epochs only: connect those, not the gaps between.
    rows = np.isfinite(table).any(axis=1)
    if not rows.any():
        return
    epoch, table = epoch[rows], table[rows]
    dots = "o" if len(epoch) == 1 else None
    if table.shape[1] > 1:
        axes.plot(epoch, table, color=color, linewidth=0.7, alpha=0.4, marker=dots, markersize=3)
        label = f"{label}, mean of {table.shape[1]} seeds"
    axes.plot(
        epoch, finite_mean(table, axis=1), color=color, linewidth=1.7, label=label, marker=dots
    )


def finite_mean(table: Float[np.ndarray, "..."], axis: int) -> Float[np.ndarray, "..."]:
    """The mean of the finite entries, NaN where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(np.where(np.isfinite(table), table, np.nan), axis=axis)


def _zoom_on_settled_part(axes: "Axes", history: EpochBounds, theme: Theme) -> None:
    values = np.concatenate([history.train, history.validation], axis=1)
    values = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(values).all():
        return
    settled = values[int(len(values) * _SETTLED_FROM) :]
    if np.isnan(settled).all():
        return
    low, high = np.nanmin(settled), np.nanmax(settled)
    lowest = np.nanmin(values)
    if len(values) < 10 or high - lowest < _ZOOM_WHEN * (high - low):
        return
    pad = 0.06 * (high - low)
    axes.set_ylim(low - pad, high + pad)
    axes.annotate(
        f"↓ first epochs from {number(float(lowest), 1)}, below the frame",
        (0.02, 0.98),
        xycoords="axes fraction",
        va="top",
        color=theme.muted,
        fontsize=8,
    )


def bounds_by_k(
    records: Records,
) -> tuple[Float[np.ndarray, " ks"], Float[np.ndarray, "seeds ks"]]:
    """The ks in ascending order and the bound of every seed at each, NaN where unknown."""
    rows = [
        {
            int(k): as_number(value)
            for k, value in as_mapping(as_mapping(seed).get("bound_by_k")).items()
            if k.isdecimal() and int(k) > 0
        }
        for seed in as_sequence(records.evaluation.get("seeds"))
    ]
    ks = sorted(set().union(*rows))
    table = np.array([[row.get(k, np.nan) for k in ks] for row in rows], dtype=float)
    return np.array(ks, dtype=float), table.reshape(len(rows), len(ks))


def training_k(records: Records) -> float:
    """The k the objective used, NaN where the records do not say."""
    recorded = as_number(as_mapping(records.run.get("bound")).get("k"))
    return recorded if np.isfinite(recorded) else as_number(records.config.get("k"))


def draw_bound_against_k(figure: "Figure", theme: Theme, *, records: Records) -> None:
    """Bound in nats per datum against k on a log axis, with the k of training marked."""
    ks, table = bounds_by_k(records)
    axes = figure.add_subplot()
    horizontal_grid(axes)
    axes.set_xscale("log")
    if len(table) > 1:
        axes.plot(ks, table.T, color=theme.main, linewidth=0.7, alpha=0.45, marker="o", ms=2.5)
    label = f"mean of {len(table)} seeds" if len(table) > 1 else "bound"
    axes.plot(
        ks, finite_mean(table, axis=0), color=theme.main, linewidth=2, marker="o", ms=5, label=label
    )
    k = training_k(records)
    if np.isfinite(k) and k > 0:
        axes.axvline(k, color=theme.second, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.plot([], [], color=theme.second, linestyle=(0, (4, 3)), label=f"trained at k = {k:g}")
    ticks = _readable_ticks(ks)
    axes.set_xticks(ticks, [count(value) for value in ticks])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axes.set_xlabel("importance samples k")
    axes.set_ylabel("bound, nats per item")
    axes.legend(loc="lower right")


def _readable_ticks(ks: Float[np.ndarray, " ks"]) -> list[float]:
    # Labels must not touch: from the right, keep a k only where a seventh of the axis is free.
    span = np.log(ks[-1] / ks[0])
    kept = [float(ks[-1])]
    for k in ks[-2::-1]:
        if np.log(kept[-1] / k) >= span / 7:
            kept.append(float(k))
    return kept
