"""Labels of data by a run's model, calibrated by the run's own validation labels."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from tightbound.core.errors import UsageError, at_least
from tightbound.distributions import OverLabels
from tightbound.models import plug_in
from tightbound.runs.folder import Opened, open_run
from tightbound.runs.source import Scored, is_named, load_scored, load_source
from tightbound.tasks.classify import Classified, K, classify

LEAST = 20
"""Validation labels that a temperature is found by, at least."""


class Labelling(NamedTuple):
    """What `classify_data` finds."""

    found: Classified
    rows: Scored
    """The data that were classified."""
    true: Int[np.ndarray, " n"] | None
    """Their labels, -1 where one is missing; None where the data have none that are news."""
    calibrated_on: int
    """How many validation labels the temperature was found by; 0 where there is none."""
    notes: tuple[str, ...]

    def table(self) -> dict[str, list[Any]]:
        """Columns of one length: row, label, the probability of each, log p(x) and draws."""
        found, rows = self.found, self.rows
        columns: dict[str, list[Any]] = {"row": rows.rows.tolist()}
        if rows.names:
            columns["name"] = list(rows.names)
        columns["label"] = found.labels.tolist()
        columns |= {f"p_{y}": list(p) for y, p in enumerate(found.probs.T)}
        columns |= {f"q_{y}": list(q) for y, q in enumerate(found.proposed.T)}
        columns |= {"log_p": list(found.log_evidence), "ess": list(found.ess.min(axis=1))}
        return columns

    def record(self) -> dict[str, Any]:
        """All of them together, as one flat record; nats."""
        found = self.found
        record = {
            "data": self.rows.name,
            "n": len(self.rows.x),
            "classes": found.log_joint.shape[1],
            "k": found.k,
            "temperature": found.temperature,
            "calibrated_on": self.calibrated_on,
            "mean_log_p": float(np.mean(found.log_evidence, dtype=np.float64)),
        }
        if self.true is not None:
            record |= {
                "accuracy": found.accuracy(self.true).summary(),
                "accuracy_of_q": found.accuracy_proposed(self.true).summary(),
            }
        return {**record, "notes": "; ".join(self.notes)}


def classify_data(
    directory: Path,
    name: str,
    *,
    k: int = K,
    key: int = 0,
    limit: int | None = None,
    scale: float | None = None,
    header: bool | None = None,
    raw: bool = False,
) -> Labelling:
    """Classifies the test part of a named set, or all rows of a file, by the first seed's model.

    Probabilities are calibrated by one temperature, at which the labels of the run's validation
    part are most likely. They are judged by the labels of the run's own test part, or those that a
    file has in the column of the fit's; not by those of the file that the fit has seen.

    Args:
        directory: The run's folder.
        name: The set or file.
        k: Draws of z for each datum and label.
        key: Seed of draws and binarisation.
        limit: Only the first so many rows, of the validation part too.
        scale: What the numbers of a file are divided by, as for `tb.data.load`.
        header: Whether its first line names the columns, as there.
        raw: Leave Bayes' rule alone.

    Raises:
        UsageError: A run without labels, or as for `open_run`, `load_scored` and
            `tb.tasks.classify`.
    """
    if limit is not None:
        at_least(1, limit=limit)
    opened = open_run(directory)
    model = plug_in(opened.model)
    if not isinstance(model.likelihood, OverLabels):
        raise UsageError(
            f"{directory} is a run without labels: expected one of `tightbound fit --objective m2`"
        )
    rows = load_scored(directory, opened, name, scale=scale, header=header).first(limit)
    own = load_source(directory, opened)
    common = {"k": k, "key": key, "binarize": opened.config.binarize}
    temperature, calibrated_on = 1.0, 0
    labels = own.labels.get("validation")
    if not raw and labels is not None:
        known = np.flatnonzero(np.asarray(labels) >= 0)[:limit]
        if len(known) >= LEAST:
            judged = classify(model, opened.posterior, own.validation[known], **common)
            temperature = judged.calibrated(np.asarray(labels)[known]).temperature
            calibrated_on = len(known)
    found = classify(model, opened.posterior, rows.x, temperature=temperature, **common)
    true = rows.labels
    fitted = name == opened.config.data and not is_named(name)
    if true is not None and (fitted or not np.any(true >= 0)):
        true = None
    notes = _notes(opened, uncalibrated=not raw and not calibrated_on)
    if fitted:
        notes += ("no accuracy: the fit has seen rows of this file",)
    return Labelling(found, rows, true, calibrated_on, notes)


def _notes(opened: Opened, *, uncalibrated: bool) -> tuple[str, ...]:
    """What must be known of the probabilities, in words."""
    found = []
    if uncalibrated:
        found.append(f"fewer than {LEAST} validation labels: probabilities are not calibrated")
    if opened.config.seeds > 1:
        found.append(f"labels are by the first of {opened.config.seeds} seeds")
    return tuple(found)
