"""Whether the classifiers behind an adversarial objective can be believed."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.report.curves import draw_seeds
from tightbound.report.records import Records
from tightbound.report.text import number, percent
from tightbound.report.theme import Theme, horizontal_grid, marked_line, whole_ticks
from tightbound.report.values import as_mapping, as_number, as_numbers, as_sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KNOWS_NOTHING = math.log(2)
"""Cross-entropy in nats of a classifier that says 1/2 to everything."""


class Classifier(NamedTuple):
    """One classifier on fresh draws: probabilities of its first side, as said and as found."""

    loss: float  # nats
    accuracy: float
    predicted: Float[np.ndarray, " bins"]
    observed: Float[np.ndarray, " bins"]
    counts: Float[np.ndarray, " bins"]


def classifiers(records: Records) -> list[Classifier]:
    """The classifiers of `calibration.json` that can be drawn."""
    found = []
    for entry in map(as_mapping, as_sequence(records.calibration.get("classifiers"))):
        predicted, observed, counts = (
            as_numbers(entry.get(name)) for name in ("predicted", "observed", "counts")
        )
        if len(predicted) and len(predicted) == len(observed) == len(counts):
            loss, accuracy = as_number(entry.get("loss")), as_number(entry.get("accuracy"))
            found.append(Classifier(loss, accuracy, predicted, observed, counts))
    return found


def draw_classifiers(figure: "Figure", theme: Theme, *, records: Records) -> None:
    """Cross-entropy by epoch, and a reliability diagram for each classifier."""
    found = classifiers(records)
    columns = figure.subplots(1, 1 + len(found), squeeze=False)[0]
    _draw_losses(columns[0], records, theme)
    for axes, classifier in zip(columns[1:], found, strict=True):
        _draw_reliability(axes, classifier, theme)


def _draw_losses(axes: "Axes", records: Records, theme: Theme) -> None:
    horizontal_grid(axes)
    history = records.history
    draw_seeds(axes, history.epoch, history.classifier_loss, theme.main, "cross-entropy")
    dashed = (0, (4, 3))
    marked_line(axes, theme, KNOWS_NOTHING, "log 2: knows nothing", linestyle=dashed)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy, nats")
    axes.margins(x=0.02)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.15 * KNOWS_NOTHING))
    whole_ticks(axes.xaxis)


def _draw_reliability(axes: "Axes", classifier: Classifier, theme: Theme) -> None:
    axes.plot([0, 1], [0, 1], color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
    some = np.isfinite(classifier.predicted) & np.isfinite(classifier.observed)
    share = classifier.counts[some] / max(np.nansum(classifier.counts), 1)
    axes.plot(
        classifier.predicted[some], classifier.observed[some], color=theme.main, linewidth=1.2
    )
    axes.scatter(
        classifier.predicted[some], classifier.observed[some], s=8 + 160 * share, color=theme.main
    )
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("observed share")
    axes.set_title(f"accuracy {percent(classifier.accuracy)}, {number(classifier.loss, 3)} nats")
