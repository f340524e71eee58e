"""What an evaluation answers, and the file of its record: one question, one record."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tightbound.core.files import remove
from tightbound.evidence.importance.evaluation import K
from tightbound.runs.folder import EVALUATIONS


class Question(NamedTuple):
    """All that an estimate depends on; equal questions have equal answers."""

    split: str
    """A part of the run's data, or "file" for others."""
    k: int | None
    """None for the way without settings: importance sampling, corrected by the ladder."""
    key: int
    temperatures: int | None
    chains: int | None
    """None without `temperatures`, which it says nothing without."""
    binarize: str
    weights: str
    """SHA-256 of the parameters of all replicas."""
    data: str
    """SHA-256 of the values of the data."""
    tightbound: str
    """Version of the estimators."""
    bounds_at: tuple[int, ...]
    """Further numbers of draws at which bounds are given, rising."""
    budget: int | str | None
    """What the ladder may cost, if that was said."""

    @property
    def stem(self) -> str:
        """Names its record, such as `test-k5000-key0-1f0a93bc`, or `test-auto-key0-...` without k.

        The end tells all else apart.
        """
        way = "auto" if self.k is None else f"k{self.k}"
        annealed = "" if self.temperatures is None else f"-ais{self.temperatures}x{self.chains}"
        digest = hashlib.sha256(json.dumps(self.as_json()).encode()).hexdigest()
        return f"{self.split}-{way}-key{self.key}{annealed}-{digest[:8]}"

    def as_json(self) -> dict[str, Any]:
        """The question as its record holds it, which does not say what was not asked for."""
        asked = self._asdict()
        further, budget = list(asked.pop("bounds_at")), asked.pop("budget")
        return (
            asked
            | ({"bounds_at": further} if further else {})
            | ({} if budget is None else {"budget": budget})
        )

    def settings(self) -> dict[str, Any]:
        """What `tb.evaluate` is called with."""
        always = {"key": self.key, "bounds_at": self.bounds_at, "budget": self.budget}
        if self.k is None:
            return always
        annealing = {} if self.chains is None else {"chains": self.chains}
        return {**always, "k": self.k, "temperatures": self.temperatures, **annealing}

    def path(self, directory: Path) -> Path:
        """The record's file in a run's folder."""
        return directory / EVALUATIONS / f"{self.stem}.safetensors"

    def unfinished(self, directory: Path, replica: int) -> Path:
        """Where one replica's finished batches are kept until the record is written."""
        return directory / EVALUATIONS / f".{self.weights[:8]}.{self.stem}.{replica}.npz"


def clear_unfinished(directory: Path, weights: str) -> None:
    """Removes finished batches about models that are no longer there, which none can go on from."""
    for path in (directory / EVALUATIONS).glob(".*.npz"):
        if not path.name.startswith(f".{weights[:8]}."):
            remove(path)


def question(
    *,
    split: str,
    k: int | None,
    key: int,
    temperatures: int | None,
    chains: int,
    binarize: str,
    weights: str,
    data: str,
    bounds_at: tuple[int, ...] = (),
    budget: int | str | None = None,
) -> Question:
    """The question that this version answers; of annealing without k the usual draws are meant."""
    if k is None and temperatures is not None:
        k = K
    chains_asked = None if temperatures is None else chains
    return Question(
        split,
        k,
        key,
        temperatures,
        chains_asked,
        binarize,
        weights,
        data,
        version("tightbound"),
        tuple(sorted(set(bounds_at))),
        budget,
    )
