"""What a run folder says: whole records only, each held against the model that is there now.

`config.toml` and `metrics.jsonl` must be there. Any other record that is missing, or is about
another model than the folder holds, is named in `Records.absent` with the reason, and the report
says so in words. A damaged file is refused.
"""

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.record import read_record
from tightbound.core.digests.text import read_sealed
from tightbound.core.errors import UsageError
from tightbound.core.files import is_file, refusals
from tightbound.report.bounds import EpochBounds, read_history
from tightbound.report.evaluations import EVALUATIONS, Judged, chosen, read_evaluations
from tightbound.report.present import Present, present, why_not
from tightbound.report.values import as_mapping, tables

UNITS = "units.json"
PICTURES = "pictures.safetensors"
CALIBRATION = "calibration.json"
TABLE = "table.safetensors"
RUN = "run.json"
MISSING = "is not there"


@dataclass(frozen=True)
class Records:
    """Everything a report needs; absent files are empty mappings and named in `absent`."""

    directory: Path
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    history: EpochBounds
    evaluations: list[Judged]
    """All of them, also those of other states of the run."""
    leading: Judged | None
    """The one that the report leads with."""
    units: Mapping[str, Any]
    pictures: Mapping[str, np.ndarray]
    calibration: Mapping[str, Any]
    table: Mapping[str, np.ndarray]
    """Rows of a table, real ones and drawn ones."""
    about_table: Mapping[str, Any]
    """What is said beside them."""
    absent: Mapping[str, str]

    @property
    def data(self) -> Mapping[str, Any]:
        """The data entry of `run.json`."""
        return as_mapping(self.run.get("data"))

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """The leading evaluation; empty where there is none."""
        return {} if self.leading is None else self.leading.record

    @property
    def with_posterior(self) -> bool:
        """Whether the model has a posterior q(z|x): all have, of which nothing else is said."""
        return self.run.get("posterior", "") is not None

    @property
    def diagnostics(self) -> Mapping[str, np.ndarray]:
        """The leading evaluation's numbers of each datum, of shape (seeds, n)."""
        return {} if self.leading is None else self.leading.arrays

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
        if file == EVALUATIONS:
            return f"tightbound evaluate {self.place}"
        return f"tightbound fit --resume --name {shlex.quote(self.directory.resolve().name)}"


def read_records(directory: Path) -> Records:
    """Reads a run folder.

    Raises:
        UsageError: No folder, no settings or no finished epoch in it, or a damaged file.
    """
    with refusals("look into", directory):
        if not directory.is_dir():
            raise UsageError(
                f"no run folder at {directory}: expected one written by `tightbound fit`, "
                f"see `tightbound fit --help`"
            )
    settings = directory / "config.toml"
    config = tomllib.loads(read_sealed(settings, "the settings of a run"))
    history = read_history(directory / "metrics.jsonl")
    model = present(directory, history.records)
    absent: dict[str, str] = {}
    # Of whatever epoch: what it says of data and sizes holds for as long as the model is there.
    run = _read_object(directory / RUN, "run", model._replace(behind=""), absent)
    digests = as_mapping(as_mapping(run.get("data")).get("digests"))
    evaluations = read_evaluations(directory, model, digests)
    leading = chosen(evaluations)
    if leading is None:
        absent[EVALUATIONS] = _none_leads(evaluations)
    table, about_table = _read_table(directory / TABLE, model, absent)
    return Records(
        directory=directory,
        config=config,
        run=run,
        history=history,
        evaluations=evaluations,
        leading=leading,
        units={}
        if run.get("posterior", "") is None
        else _read_object(directory / UNITS, "units", model, absent),
        pictures=_read_pictures(directory / PICTURES, model, absent),
        # Only adversarial objectives have one: none is no lack.
        calibration=_read_object(directory / CALIBRATION, "calibration", model, absent)
        if is_file(directory / CALIBRATION)
        else {},
        table=table,
        about_table=about_table,
        absent=absent,
    )


def _none_leads(evaluations: list[Judged]) -> str:
    """Why there is no leading evaluation, in words."""
    if not evaluations:
        return MISSING
    stale = sum(bool(found.stale) for found in evaluations)
    others = f" ({stale} of another model or of other data)" if stale else ""
    return f"holds none of the test part by the model that is there now{others}"


def _read_object(path: Path, kind: str, model: Present, absent: dict[str, str]) -> dict[str, Any]:
    """A record that is about the model."""
    if not is_file(path):
        absent[path.name] = MISSING
        return {}
    record = read_record(path, kind)
    if reason := why_not(record, model):
        absent[path.name] = reason
        return {}
    return record


def _read_pictures(path: Path, model: Present, absent: dict[str, str]) -> dict[str, np.ndarray]:
    if not is_file(path):
        absent[path.name] = MISSING
        return {}
    arrays, metadata = read_arrays(path, "pictures")
    if reason := why_not(metadata, model):
        absent[path.name] = reason
        return {}
    return tables(arrays)


def _read_table(
    path: Path, model: Present, absent: dict[str, str]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The rows of a table and what is said of them; data that are none have no such file."""
    if not is_file(path):
        return {}, {}
    arrays, metadata = read_arrays(path, "table")
    if reason := why_not(metadata, model):
        absent[path.name] = reason
        return {}, {}
    return tables(arrays), metadata
