"""The bounds of a run by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tightbound.core.digests.lines import read_lines
from tightbound.core.errors import UsageError
from tightbound.core.files import is_file
from tightbound.report.values import as_mapping, as_number, as_sequence


@dataclass(frozen=True)
class EpochBounds:
    """Bounds by epoch in nats per datum, larger is better; NaN where a line says nothing."""

    epoch: Float[np.ndarray, " epochs"]
    train: Float[np.ndarray, "epochs seeds"]
    validation: Float[np.ndarray, "epochs seeds"]
    classifier_loss: Float[np.ndarray, "epochs seeds"]
    """Cross-entropy in nats of an adversarial objective's classifier; smaller tells more."""
    records: Sequence[Mapping[str, Any]] = ()
    """All that the file says of each epoch."""


def read_history(path: Path) -> EpochBounds:
    """Reads `metrics.jsonl`; a last line that a killed process left torn is passed over.

    Raises:
        UsageError: No such file, no finished epoch in it, or a damaged line, which is named.
    """
    if not is_file(path):
        raise UsageError(f"{path} is missing: train first, `tightbound fit` writes it every epoch")
    rows: list[Mapping[str, Any]] = list(read_lines(path).records)
    if not rows:
        raise UsageError(f"{path} holds no finished epoch yet: train for at least one epoch")
    train = [as_sequence(row.get("train_bound")) for row in rows]
    validation = [as_sequence(row.get("validation_bound")) for row in rows]
    losses = [as_sequence(as_mapping(row.get("info")).get("classifier_loss")) for row in rows]
    seeds = max(map(len, [*train, *validation, *losses]))
    return EpochBounds(
        epoch=np.array([as_number(row.get("epoch")) for row in rows]),
        train=_per_seed(train, seeds),
        validation=_per_seed(validation, seeds),
        classifier_loss=_per_seed(losses, seeds),
        records=rows,
    )


def _per_seed(rows: list[list[Any]], seeds: int) -> Float[np.ndarray, "epochs seeds"]:
    table = np.full((len(rows), seeds), np.nan)
    for index, row in enumerate(rows):
        table[index, : len(row)] = [as_number(value) for value in row]
    return table
