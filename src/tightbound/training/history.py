"""The history of a run: one record an epoch, in memory and as lines of JSON."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tightbound.core.digests.lines import START, read_lines, to_line
from tightbound.core.errors import UsageError
from tightbound.core.files import is_file, refusals, write_all, write_atomic

METRICS = "metrics.jsonl"


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


class Kept(NamedTuple):
    """The first lines of a file of records, which nothing has been done to yet."""

    history: History
    text: str
    digest: str


def read_history(path: Path, epochs: int) -> Kept:
    """Reads the first `epochs` records; what stands behind them does not matter.

    Raises:
        UsageError: Fewer whole records than that are there, or one of them is damaged.
    """
    if not is_file(path):
        if epochs:
            raise UsageError(f"expected {epochs} records in {path}, found 0")
        return Kept(History(), "", START)
    lines = read_lines(path, epochs)
    if len(lines.records) != epochs:
        raise UsageError(f"expected {epochs} records in {path}, found {len(lines.records)}")
    records = [
        as_record(line, f"{path} line {number}")
        for number, line in enumerate(lines.records, start=1)
    ]
    return Kept(History(records), lines.text, lines.digest)


def as_record(fields: Mapping[str, Any], what: str) -> EpochRecord:
    """A record out of the fields that were read for it, which need not be right.

    Raises:
        UsageError: Fields that are missing, unknown or of the wrong type.
    """
    try:
        record = EpochRecord(**{"validation_bound": None, **fields})
    except TypeError as error:
        raise UsageError(f"{what} is not a record: {error}") from error
    info = record.info
    if not (
        type(record.epoch) is type(record.step) is int
        and isinstance(record.seconds, int | float)
        and _numbers(record.train_bound)
        and (record.validation_bound is None or _numbers(record.validation_bound))
        and (info is None or (isinstance(info, dict) and all(map(_numbers, info.values()))))
    ):
        raise UsageError(f"{what} is not a record: expected numbers, got {str(dict(fields))[:80]}")
    return record


def _numbers(value: Any) -> bool:
    return isinstance(value, Sequence) and all(type(entry) in (int, float) for entry in value)


class MetricsFile:
    """Appends records to a file of JSON lines; a torn last line is cut off on resuming."""

    def __init__(self, path: Path, kept: Kept | None = None) -> None:
        """Opens the file for appending behind the lines kept; all others are cut off."""
        write_atomic(path, "" if kept is None else kept.text)
        self._path = path
        self._digest = START if kept is None else kept.digest
        with refusals("write", path):
            self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))

    def append(self, record: EpochRecord) -> None:
        """Writes one record through to the operating system."""
        fields = {name: value for name, value in record._asdict().items() if value is not None}
        line, self._digest = to_line(fields, self._digest)
        with refusals("write", self._path):
            write_all(self._handle, line.encode())

    def sync(self) -> None:
        """Waits until the records are on the disk; a checkpoint must not be ahead of them."""
        with refusals("write", self._path):
            os.fsync(self._handle)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)
