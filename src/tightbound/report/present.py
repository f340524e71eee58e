"""Which model a run folder holds now, and whether a record is about that one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tightbound.digests.arrays import read_arrays
from tightbound.digests.record import entry
from tightbound.files import is_file

MODEL = "model.safetensors"


class Present(NamedTuple):
    """The fitted model of a run folder."""

    weights: str | None
    """SHA-256 of its parameters; None where there is none yet."""
    behind: str
    """Why it is not where training stands, in words; empty where it is."""


def present(directory: Path, last_epoch: float) -> Present:
    """The model of a folder whose history ends with an epoch.

    Raises:
        UsageError: Its file is damaged.
    """
    path = directory / MODEL
    if not is_file(path):
        return Present(None, "there is no fitted model yet")
    _, metadata = read_arrays(path, "saved run")
    epoch = entry(metadata, path, "epochs_run", int)
    behind = f"the model is of epoch {epoch}, training has gone on to epoch {last_epoch:.0f}"
    return Present(entry(metadata, path, "weights", str), "" if epoch == last_epoch else behind)


def why_not(record: Mapping[str, Any], model: Present) -> str:
    """Why a record is not about a run as it stands now, in words; empty where it is."""
    if model.weights is not None and record.get("weights") != model.weights:
        return "is about another model than the one that is there now"
    return f"is out of date: {model.behind}" if model.behind else ""
