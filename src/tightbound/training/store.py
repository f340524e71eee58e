"""A run's folder: metrics as they come, checkpoints as often as their cost allows."""

import hashlib
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.errors import UsageError
from tightbound.objectives import AbstractObjective, Parts
from tightbound.training import checkpoint
from tightbound.training.epoch import EpochSettings
from tightbound.training.records import History, MetricsFile, read_history
from tightbound.training.state import State
from tightbound.training.structure import describe, differences, fixed

CHECKPOINT_SHARE = 0.02
"""Largest share of the run's time that is spent on writing checkpoints."""


class Store:
    """A run's folder: metrics as they come, checkpoints as often as their cost allows."""

    def __init__(self, directory: Path, fingerprint: dict[str, Any]) -> None:
        """Names the files; nothing is touched before `claim` or `resume`."""
        self.path = directory / "checkpoints" / "last.safetensors"
        self.metrics_path = directory / "metrics.jsonl"
        self.fingerprint = fingerprint
        self.seconds = 0.0
        self._began = time.perf_counter()

    def claim(self, state: State) -> tuple[State, History]:
        """Starts a new run in the folder."""
        if self.path.exists() or self.metrics_path.exists():
            raise UsageError(
                f"{self.path.parent.parent} already holds a run: pass resume=True to go on with "
                "it, or choose another directory"
            )
        self.metrics = MetricsFile(self.metrics_path)
        return state, History()

    def resume(self, state: State, epochs: int) -> tuple[State, History]:
        """Goes on with the run in the folder, from its start if it has no checkpoint yet."""
        history = History()
        if self.path.exists():
            arrays, metadata = checkpoint.read(self.path, "checkpoint")
            changes = differences(metadata["run"], self.fingerprint)
            if changes:
                raise UsageError(
                    f"{self.path} is a checkpoint of another run: {'; '.join(changes)}"
                )
            done = metadata["epoch"]
            if done > epochs:
                raise UsageError(
                    f"{self.path} has {done} epochs behind it: expected epochs >= {done}, "
                    f"got {epochs}"
                )
            state = checkpoint.fill(state, arrays, str(self.path))
            history = read_history(self.metrics_path, done)
        elif self.metrics_path.exists():
            history = read_history(self.metrics_path, 0)
        for torn in self.path.parent.glob(f".{self.path.name}.*.part"):
            torn.unlink()  # left by a process that was killed while it wrote
        self.metrics = MetricsFile(self.metrics_path)
        return state, history

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
    parts: Parts,
    objective: AbstractObjective,
    settings: EpochSettings,
    root: PRNGKeyArray,
    seeds: int,
    data: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"] | None],
) -> dict[str, Any]:
    """What must be the same for a checkpoint to be this run's; the length of the run need not."""
    return {
        "objective": objective.description,
        "batch_size": settings.batch_size,
        "binarisation": settings.train_binarisation.description,
        "average": settings.average,
        "early_stopping": settings.patience,
        "key": np.asarray(jax.random.key_data(root)).tolist(),
        "seeds": seeds,
        "training data": _digest(data[0]),
        "validation data": None if data[1] is None else _digest(data[1]),
        **fixed(describe(parts)),
    }


def _digest(x: Float[np.ndarray, "n d"]) -> str:
    digest = hashlib.sha256(x.astype(np.float32).tobytes()).hexdigest()
    return f"{len(x)} items with SHA-256 {digest}"
