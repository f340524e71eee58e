"""Which model a run folder holds now, and whether a record is about that one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.lines import unspelled
from tightbound.core.digests.record import entry
from tightbound.core.files import is_file

MODEL = "model.safetensors"
METRICS = "metrics.jsonl"


class Present(NamedTuple):
    """The fitted model of a run folder."""

    weights: str | None
    """SHA-256 of its parameters; None where there is none yet."""
    behind: str
    """Why it is not where training stands, in words; empty where it is."""


def present(directory: Path, records: Sequence[Mapping[str, Any]]) -> Present:
    """The model of a folder whose epochs have these records.

    Raises:
        UsageError: Its file is damaged.
    """
    path = directory / MODEL
    if not is_file(path):
        return Present(None, "there is no fitted model yet")
    _, metadata = read_arrays(path, "saved run")
    epoch = entry(metadata, path, "epochs_run", int)
    own = [_told(record) for record in unspelled(entry(metadata, path, "history", list))]
    behind = f"the model is of epoch {epoch}, training has gone on to epoch {len(records)}"
    if repr(own) != repr([_told(record) for record in records[: len(own)]]):  # nan is nan there
        behind = f"the model is of epoch {epoch} of another training than {METRICS} tells of"
    elif epoch == len(records):
        behind = ""
    return Present(entry(metadata, path, "weights", str), behind)


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record of an epoch says, however it leaves the rest out."""
    return {name: record[name] for name in sorted(record) if record[name] is not None}


def why_not(record: Mapping[str, Any], model: Present) -> str:
    """Why a record is not about a run as it stands now, in words; empty where it is."""
    if model.weights is not None and record.get("weights") != model.weights:
        return "is about another model than the one that is there now"
    return f"is out of date: {model.behind}" if model.behind else ""
