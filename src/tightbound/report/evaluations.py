"""The evaluations of a run: which are about the model and data that are there, and which leads."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.record import entry
from tightbound.core.files import refusals
from tightbound.report.corrected import ladder
from tightbound.report.present import Present, why_not
from tightbound.report.values import as_mapping, as_number, as_sequence, tables

EVALUATIONS = "evaluations"


class Judged(NamedTuple):
    """One evaluation."""

    file: str
    record: Mapping[str, Any]
    arrays: Mapping[str, Float[np.ndarray, "seeds n"]]
    stale: str
    """Why it is not about the run as it stands, in words; empty where it is."""

    @property
    def beside(self) -> str:
        """Which data it is about, in words, if not a whole part of the run's; else empty."""
        first = f"the first {self.record['limit']} items of " if "limit" in self.record else ""
        name = as_mapping(self.record.get("source")).get("name")
        return f"{first}{name}" if name else first and f"{first}the part"

    @property
    def question(self) -> Mapping[str, Any]:
        """What was asked."""
        return as_mapping(self.record.get("question"))


def read_evaluations(directory: Path, model: Present, data: Mapping[str, Any]) -> list[Judged]:
    """Reads all evaluations of a run folder, by the names of their files.

    Args:
        directory: The folder.
        model: The model that it holds.
        data: SHA-256 of the values of each part of the data that it was fitted to.

    Raises:
        UsageError: A file is damaged.
    """
    with refusals("look into", directory / EVALUATIONS):
        paths = sorted((directory / EVALUATIONS).glob("[!.]*.safetensors"))
    return [_judged(path, model, data) for path in paths]


def _judged(path: Path, model: Present, data: Mapping[str, Any]) -> Judged:
    arrays, record = read_arrays(path, "evaluation")
    question = entry(record, path, "question", dict)
    stale = why_not(question, model)
    found = Judged(path.name, record, tables(arrays), stale)
    part = str(question.get("split"))
    if not stale and not found.beside and question.get("data") != data.get(part):
        return found._replace(stale="is about other data than the run's")
    return found


def chosen(evaluations: list[Judged]) -> Judged | None:
    """The one that a report leads with: of the test part by the model that is there.

    One that the ladder corrected comes before others, then the largest k, the most temperatures,
    the lowest key, and the ladder that took most evaluations.
    """
    fitting = [
        found
        for found in evaluations
        if not (found.stale or found.beside) and found.question.get("split") == "test"
    ]
    return max(fitting, key=_rank, default=None)


def _rank(found: Judged) -> tuple[bool, float, float, float, float]:
    asked = found.question
    temperatures = 0.0 if asked.get("temperatures") is None else as_number(asked["temperatures"])
    # What is exact has no k: no number of draws is more.
    k = as_number(found.record.get("k", math.inf))
    key = as_number(asked.get("key"))
    ladders = list(filter(None, map(ladder, as_sequence(found.record.get("seeds")))))
    spent = [as_number(of.get(name)) for of in ladders for name in ("evaluations", "gradients")]
    return bool(ladders), k, temperatures, -key, math.fsum(spent)
