"""Saving and loading fitted models: arrays by name, and the structure as plain JSON."""

from pathlib import Path
from typing import Any

import equinox as eqx

from tightbound.errors import UsageError
from tightbound.objectives import Parts
from tightbound.training import checkpoint
from tightbound.training.fit import Run
from tightbound.training.records import EpochRecord, History
from tightbound.training.structure import describe, differences, fixed, is_array, rebuild


def save(path: Path | str, run: Run) -> None:
    """Writes a run's replicas, history and description to one safetensors file.

    Networks of your own are saved as arrays; to load them again, `load` needs `like`.
    """
    replicas = [eqx.filter(parts, is_array) for parts in run.replicas]
    metadata = {
        "structure": describe(run.replicas[0]),
        "replicas": len(replicas),
        "history": [list(record) for record in run.history],
        "objective": run.objective,
        "binarisation": run.binarisation,
        "epochs_run": run.epochs_run,
        "seconds_checkpoints": run.seconds_checkpoints,
    }
    checkpoint.write(Path(path), "saved run", replicas, metadata)


def load(path: Path | str, like: tuple[Any, Any] | None = None) -> Run:
    """Reads what `save` wrote.

    Args:
        path: The file.
        like: `(model, posterior)` of the same structure, for models with networks of your own.

    Raises:
        UsageError: No such file, a truncated one, names or shapes that do not fit, or a network
            of your own without `like`.
    """
    arrays, metadata = checkpoint.read(Path(path), "saved run")
    parts = rebuild(metadata["structure"], str(path)) if like is None else Parts(*like)
    template, static = eqx.partition([parts] * metadata["replicas"], is_array)
    if like is not None:
        wrong = differences(fixed(metadata["structure"]), fixed(describe(parts)))
        wrong += checkpoint.mismatches(template, arrays)
        if wrong:
            raise UsageError(f"{path} does not fit `like`: {'; '.join(wrong)}")
    replicas = eqx.combine(checkpoint.fill(template, arrays, str(path)), static)
    return Run(
        replicas[0].model,
        replicas[0].posterior,
        History(EpochRecord(*record) for record in metadata["history"]),
        replicas,
        metadata["objective"],
        metadata["binarisation"],
        metadata["epochs_run"],
        metadata["seconds_checkpoints"],
    )
