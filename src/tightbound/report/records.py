"""What a run folder says, read without trusting it: torn lines, missing files and NaNs are normal.

Only `config.toml` and `metrics.jsonl` must be there. Every other file that is missing or damaged is
named in `Records.absent` together with the reason, and the report says so in words.
"""

import json
import shlex
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from tightbound.errors import UsageError

EVALUATION = "evaluation.json"
DIAGNOSTICS = "evaluation.npz"
UNITS = "units.json"
PICTURES = "pictures.npz"
CALIBRATION = "calibration.json"
RUN = "run.json"


@dataclass(frozen=True)
class History:
    """Bounds by epoch in nats per datum, larger is better; NaN where a line says nothing."""

    epoch: Float[np.ndarray, " epochs"]
    train: Float[np.ndarray, "epochs seeds"]
    validation: Float[np.ndarray, "epochs seeds"]
    classifier_loss: Float[np.ndarray, "epochs seeds"]
    """Cross-entropy in nats of an adversarial objective's classifier; smaller tells more."""


@dataclass(frozen=True)
class Records:
    """Everything a report needs; absent files are empty mappings and named in `absent`."""

    directory: Path
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    history: History
    evaluation: Mapping[str, Any]
    diagnostics: Mapping[str, np.ndarray]
    units: Mapping[str, Any]
    pictures: Mapping[str, np.ndarray]
    calibration: Mapping[str, Any]
    absent: Mapping[str, str]

    @property
    def data(self) -> Mapping[str, Any]:
        """The data entry of `run.json`."""
        return as_mapping(self.run.get("data"))

    @property
    def name(self) -> str:
        """The run's name, else its folder's."""
        return str(self.run.get("name") or self.directory.resolve().name)

    @property
    def place(self) -> str:
        """The folder as a shell word, without the machine's own path before it."""
        return shlex.quote("/".join(self.directory.resolve().parts[-2:]).lstrip("/"))

    def command(self, file: str) -> str:
        """The command that writes a missing file."""
        return (
            "tightbound fit" if file in (RUN, CALIBRATION) else f"tightbound evaluate {self.place}"
        )


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_sequence(value: object) -> list[Any]:
    """The value where it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> float:
    """The value where it is a number (NaN and infinities included), else NaN."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return float("nan")


def as_numbers(value: object) -> Float[np.ndarray, " numbers"]:
    """The entries of a JSON array as numbers, NaN where they are none."""
    return np.array([as_number(entry) for entry in as_sequence(value)], dtype=float)


def read_records(directory: Path) -> Records:
    """Reads a run folder.

    Raises:
        UsageError: No folder, no readable `config.toml`, or no finished epoch in `metrics.jsonl`.
    """
    if not directory.is_dir():
        raise UsageError(
            f"no run folder at {directory}: expected one written by `tightbound fit`, "
            f"see `tightbound fit --help`"
        )
    absent: dict[str, str] = {}
    return Records(
        directory=directory,
        config=_read_config(directory / "config.toml"),
        run=_read_object(directory / RUN, absent),
        history=_read_history(directory / "metrics.jsonl"),
        evaluation=_read_object(directory / EVALUATION, absent),
        diagnostics=_read_arrays(directory / DIAGNOSTICS, absent),
        units=_read_object(directory / UNITS, absent),
        pictures=_read_arrays(directory / PICTURES, absent),
        # Only adversarial objectives have one: none is no lack.
        calibration=_read_object(directory / CALIBRATION, absent)
        if (directory / CALIBRATION).exists()
        else {},
        absent=absent,
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path} is missing: expected a run folder written by `tightbound fit`"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: expected a TOML table, got {error}") from None


def _read_history(path: Path) -> History:
    if not path.is_file():
        raise UsageError(f"{path} is missing: train first, `tightbound fit` writes it every epoch")
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            # A process killed while writing leaves its last line torn; elsewhere it is damage.
            if number == len(lines):
                break
            raise UsageError(
                f"{path} is damaged: expected one JSON object a line, line {number} is none"
            ) from None
        rows.append(as_mapping(row))
    if not rows:
        raise UsageError(f"{path} holds no finished epoch yet: train for at least one epoch")
    train = [as_sequence(row.get("train_bound")) for row in rows]
    validation = [as_sequence(row.get("validation_bound")) for row in rows]
    losses = [as_sequence(as_mapping(row.get("info")).get("classifier_loss")) for row in rows]
    seeds = max(map(len, [*train, *validation, *losses]))
    return History(
        epoch=np.array([as_number(row.get("epoch")) for row in rows]),
        train=_per_seed(train, seeds),
        validation=_per_seed(validation, seeds),
        classifier_loss=_per_seed(losses, seeds),
    )


def _per_seed(rows: list[list[Any]], seeds: int) -> Float[np.ndarray, "epochs seeds"]:
    table = np.full((len(rows), seeds), np.nan)
    for index, row in enumerate(rows):
        table[index, : len(row)] = [as_number(value) for value in row]
    return table


def _read_object(path: Path, absent: dict[str, str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        absent[path.name] = "is not there"
        return {}
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        absent[path.name] = "cannot be read as a JSON object"
        return {}
    return value


def _read_arrays(path: Path, absent: dict[str, str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        absent[path.name] = "is not there"
        return {}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile, zlib.error):
        absent[path.name] = "cannot be read as an archive of arrays"
        return {}
    tables = {
        name: array.astype(np.float64)
        for name, array in arrays.items()
        if array.ndim == 2 and array.dtype.kind in "fiub"
    }
    if wrong := sorted(arrays.keys() - tables.keys()):
        absent[path.name] = f"holds no table of numbers under {', '.join(wrong)}"
    return tables
