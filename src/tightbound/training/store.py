"""A run's folder: metrics as they come, checkpoints as often as their cost allows."""

import time
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.record import entry
from tightbound.core.errors import UsageError
from tightbound.core.files import clear_torn, is_file, refusals
from tightbound.core.locks import Folder
from tightbound.data import Source
from tightbound.objectives import AbstractObjective, Params
from tightbound.training import checkpoint
from tightbound.training.epoch import EpochSettings
from tightbound.training.history import METRICS, History, Kept, MetricsFile, read_history
from tightbound.training.state import State, held
from tightbound.training.structure import describe, differences, fixed

CHECKPOINT_SHARE = 0.02
"""Largest share of the run's time that is spent on writing checkpoints."""


class Store:
    """A run's folder: metrics as they come, checkpoints as often as their cost allows."""

    def __init__(self, folder: Folder, fingerprint: dict[str, Any]) -> None:
        """Names the files; nothing is touched before `claim` or `resume`."""
        self.folder = folder
        self.path = folder.path / "checkpoints" / "last.safetensors"
        self.metrics_path = folder.path / METRICS
        self.fingerprint = fingerprint
        self.seconds = 0.0
        self._began = time.perf_counter()

    def claim(self, state: State) -> tuple[State, History]:
        """Starts a new run in the folder, which may hold one without a finished epoch.

        Raises:
            UsageError: The folder holds a run, is in use, or cannot be written to.
        """
        self.folder.hold()
        with refusals("look into", self.folder.path):
            begun = self.metrics_path.is_file() and self.metrics_path.stat().st_size > 0
        if begun or is_file(self.path):
            raise UsageError(
                f"{self.folder.path} already holds a run: pass resume=True to go on with it, or "
                "choose another directory"
            )
        return self._accept(state, None)

    def resume(self, state: State, epochs: int) -> tuple[State, History]:
        """Goes on with the run in the folder, from its start if it has no checkpoint yet.

        Raises:
            UsageError: A damaged file, another run, fewer epochs than are done, or a folder that
                is in use; nothing has been written then.
        """
        self.folder.hold()
        done = 0
        if is_file(self.path):
            arrays, metadata = read_arrays(self.path, "checkpoint")
            changes = differences(entry(metadata, self.path, "run", dict), self.fingerprint)
            if changes:
                raise UsageError(
                    f"{self.path} is a checkpoint of another run: {'; '.join(changes)}"
                )
            done = entry(metadata, self.path, "epoch", int)
            if done > epochs:
                raise UsageError(
                    f"{self.path} has {done} epochs behind it: expected epochs >= {done}, "
                    f"got {epochs}"
                )
            state = checkpoint.fill(state, arrays, str(self.path))
        return self._accept(state, read_history(self.metrics_path, done))

    def _accept(self, state: State, kept: Kept | None) -> tuple[State, History]:
        """What is written once nothing can be refused any more."""
        self.folder.accept()
        clear_torn(self.folder.path)
        clear_torn(self.path.parent)
        self.metrics = MetricsFile(self.metrics_path, kept)
        return state, History() if kept is None else kept.history

    def save(self, state: State, epoch: int, *, last: bool) -> None:
        """Writes a checkpoint if it is the last, or if the time spent so far allows it."""
        now = time.perf_counter()
        if not last and self.seconds > CHECKPOINT_SHARE * (now - self._began):
            return
        self.metrics.sync()
        metadata = {"run": self.fingerprint, "epoch": epoch}
        checkpoint.write(self.path, "checkpoint", state, metadata)
        self.seconds += time.perf_counter() - now


def fingerprint(
    params: Params,
    objective: AbstractObjective,
    settings: EpochSettings,
    root: PRNGKeyArray,
    seeds: int,
    train: Source,
    validation: Source | None,
) -> dict[str, Any]:
    """What must be the same for a checkpoint to be this run's; the length of the run need not."""
    numbers = held(params)
    return {
        "objective": objective.description,
        "batch_size": settings.batch_size,
        "binarisation": settings.train_binarisation.description,
        "average": settings.average,
        "early_stopping": settings.patience,
        "key": np.asarray(jax.random.key_data(root)).tolist(),
        "seeds": seeds,
        "training data": _digest(train),
        "validation data": None if validation is None else _digest(validation),
        **({} if numbers is None else {"fixed numbers": f"arrays with SHA-256 {numbers}"}),
        **fixed(describe(params)),
    }


def _digest(data: Source) -> str:
    return f"{len(data)} items with SHA-256 {data.digest}"
