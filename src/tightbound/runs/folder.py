"""A run's folder: reading it back, and files that appear in it whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tightbound.config import Config, read_toml
from tightbound.errors import UsageError
from tightbound.files import write_atomic
from tightbound.training import Run, load


def open_run(directory: Path) -> tuple[Config, Run]:
    """Reads a run folder's settings and fitted replicas.

    Raises:
        UsageError: No such run, or one that has not been finished.
    """
    if not (directory / "config.toml").is_file():
        raise UsageError(f"expected a run folder at {directory}, found no config.toml in it")
    if not (directory / "model.safetensors").is_file():
        raise UsageError(
            f"{directory} holds no fitted model yet: "
            f"finish it with `tightbound fit --resume --name {directory.name}`"
        )
    return Config(**read_toml(directory / "config.toml")), load(directory / "model.safetensors")


def write_json(path: Path, record: Any) -> None:
    """Writes JSON; numbers that are not finite become null."""
    write_atomic(path, json.dumps(_finite(record), indent=1, allow_nan=False) + "\n")


def _finite(record: Any) -> Any:
    if isinstance(record, dict):
        return {name: _finite(value) for name, value in record.items()}
    if isinstance(record, list):
        return [_finite(value) for value in record]
    if isinstance(record, float) and not np.isfinite(record):
        return None
    return record
