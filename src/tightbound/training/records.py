"""The history of a run: one record an epoch, in memory and as lines of JSON."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from tightbound.errors import UsageError
from tightbound.files import write_atomic


class EpochRecord(NamedTuple):
    """One epoch, with one number per replica; bounds in nats per datum."""

    epoch: int
    step: int
    train_bound: list[float]
    validation_bound: list[float] | None
    seconds: float
    info: dict[str, list[float]] | None = None
    """Further numbers of the objective by name, averaged over the epoch."""


class History(list[EpochRecord]):
    """The records of all epochs so far, first epoch first."""

    @property
    def train_bound(self) -> list[list[float]]:
        """Bounds of shape (epochs, replicas) in nats."""
        return [record.train_bound for record in self]

    @property
    def validation_bound(self) -> list[list[float] | None]:
        """Bounds of shape (epochs, replicas) in nats; None where there was no validation."""
        return [record.validation_bound for record in self]


def to_line(record: EpochRecord) -> str:
    """One line of JSON; floats round-trip to the last bit."""
    fields = {name: value for name, value in record._asdict().items() if value is not None}
    return json.dumps(fields) + "\n"


def read_history(path: Path, epochs: int) -> History:
    """Reads the first `epochs` records, and cuts the file off behind them.

    Raises:
        UsageError: Fewer whole records than that are there.
    """
    records = History()
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines[:epochs]:
        try:
            records.append(EpochRecord(**{"validation_bound": None, **json.loads(line)}))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path} line {len(records) + 1} is not a record: {error}") from error
    if len(records) != epochs:
        raise UsageError(f"expected {epochs} records in {path}, found {len(records)}")
    write_atomic(path, "".join(to_line(record) for record in records))
    return records


class MetricsFile:
    """Appends records to a file of JSON lines; a torn last line is cut off on resuming."""

    def __init__(self, path: Path) -> None:
        """Opens the file for appending."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = path.open("a")

    def append(self, record: EpochRecord) -> None:
        """Writes one record through to the operating system."""
        self._handle.write(to_line(record))
        self._handle.flush()

    def sync(self) -> None:
        """Waits until the records are on the disk; a checkpoint must not be ahead of them."""
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._handle.close()
