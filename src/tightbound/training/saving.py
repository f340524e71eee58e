"""Saving and loading fitted models: arrays by name, and the structure as plain JSON."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from tightbound.adjoints import Inner
from tightbound.core.digests.arrays import (
    arrays_from_bytes,
    arrays_to_bytes,
    digest_of,
    read_arrays,
    write_arrays,
)
from tightbound.core.digests.lines import spelled, unspelled
from tightbound.core.digests.record import entry
from tightbound.core.errors import UsageError
from tightbound.objectives import Params
from tightbound.objectives.implicit.nested import Nested
from tightbound.objectives.registry import parse
from tightbound.training import checkpoint
from tightbound.training.fit import Run
from tightbound.training.history import EpochRecord, History, as_record
from tightbound.training.imports import as_names
from tightbound.training.structure import describe, differences, fixed, is_array, rebuild

SAVED_RUN = "saved run"
NETWORKS = "networks"
"""Before the names of the arrays that belong to an objective's own networks."""


def save(path: Path | str, run: Run) -> str:
    """Writes a run's replicas, history and description to one safetensors file.

    Networks of your own are saved as arrays and by the import paths of their classes and
    functions; no code is written. The classifiers and denoisers of an implicit objective of ours
    are in the file too.

    Returns:
        SHA-256 of the parameters, by which records say which model they are about.

    Raises:
        UsageError: The operating system refuses; an older file is as it was.
    """
    metadata = _metadata(run)
    write_arrays(Path(path), SAVED_RUN, _named(run), metadata)
    return metadata["weights"]


def run_to_bytes(run: Run) -> bytes:
    """The content of the file that `save` writes."""
    return arrays_to_bytes(SAVED_RUN, _named(run), _metadata(run))


def _named(run: Run) -> dict[str, np.ndarray]:
    """All arrays of the file: the replicas', and those of the objective's own networks."""
    named = checkpoint.named_leaves(_arrays(run))
    if _nested(run.objective) is None:
        return named
    inner = checkpoint.named_leaves([state.aux for state in run.objective_states])
    return named | {NETWORKS + name: array for name, array in inner.items()}


def _nested(call: str) -> Nested | None:
    """The objective with networks of its own that a call makes; None where it makes none."""
    try:
        objective = parse(call)
    except UsageError:  # one of somebody's own, or with a function among its arguments
        return None
    return objective if isinstance(objective, Nested) else None


def _metadata(run: Run) -> dict[str, Any]:
    return {
        "structure": describe(run.replicas[0]),
        "weights": weights_of(run),
        "replicas": len(run.replicas),
        "history": spelled([record._asdict() for record in run.history]),
        "objective": run.objective,
        "binarisation": run.binarisation,
        "epochs_run": run.epochs_run,
        "seconds_checkpoints": run.seconds_checkpoints,
    }


def weights_of(run: Run) -> str:
    """SHA-256 of the parameters of all replicas: the same after saving and loading."""
    return digest_of(checkpoint.named_leaves(_arrays(run)))


def _arrays(run: Run) -> list[Any]:
    return [eqx.filter(params, is_array) for params in run.replicas]


def load(
    path: Path | str,
    like: tuple[Any, Any] | None = None,
    *,
    trust: str | Iterable[str] = (),
) -> Run:
    """Reads what `save` wrote.

    Args:
        path: The file.
        like: `(model, posterior)` of the same structure, for networks of your own whose classes
            no import path leads to, or whose code has changed.
        trust: Modules, or packages with all that is in them, whose code may be imported and run to
            rebuild networks of your own, such as "mypackage"; those named in the variable
            TIGHTBOUND_TRUST of the environment too. Equinox's layers and the functions of
            `jax.nn` need none.

    Returns:
        The run. Of what its objective kept between steps (`objective_states`) classifiers and
        denoisers are there, with optimisers as they were at the first step.

    Raises:
        UsageError: No such file, a truncated or damaged one, names or shapes that do not fit, or
            a network of your own without `trust` or `like`.
    """
    trusted = as_names(trust)
    path = Path(path)
    return _rebuilt(*read_arrays(path, SAVED_RUN), path, like, trusted)


def run_from_bytes(payload: bytes, what: str) -> Run:
    """Reads what `run_to_bytes` gave of networks of ours.

    Args:
        payload: The bytes.
        what: Where they stood, for errors.

    Raises:
        UsageError: As for `load`.
    """
    return _rebuilt(*arrays_from_bytes(payload, what, SAVED_RUN), what, None, ())


def _rebuilt(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, Any],
    path: Path | str,
    like: tuple[Any, Any] | None,
    trusted: Collection[str],
) -> Run:
    structure = entry(metadata, path, "structure", dict)
    inner = {name: array for name, array in arrays.items() if name.startswith(NETWORKS)}
    arrays = {name: array for name, array in arrays.items() if name not in inner}
    shapes = {array.shape for array in arrays.values()}
    params = rebuild(structure, str(path), shapes, trusted) if like is None else Params(*like)
    if not isinstance(params, Params):
        raise UsageError(f"{path} is damaged: expected a model and a posterior in its structure")
    count = entry(metadata, path, "replicas", int)
    if not 1 <= count <= max(1, len(arrays)):
        raise UsageError(f"{path} is damaged: {count} replicas do not have {len(arrays)} arrays")
    template, static = eqx.partition([params] * count, is_array)
    if like is not None:
        wrong = differences(fixed(structure), fixed(describe(params)))
        wrong += checkpoint.mismatches(template, arrays)
        if wrong:
            raise UsageError(f"{path} does not fit `like`: {'; '.join(wrong)}")
    replicas = eqx.combine(checkpoint.fill(template, arrays, str(path)), static)
    objective = entry(metadata, path, "objective", str)
    return Run(
        replicas[0].model,
        replicas[0].posterior,
        _history(entry(metadata, path, "history", list), path),
        replicas,
        objective,
        entry(metadata, path, "binarisation", str),
        entry(metadata, path, "epochs_run", int),
        float(entry(metadata, path, "seconds_checkpoints", int, float)),
        _inner(replicas, objective, inner, str(path)) if inner else (),
    )


def _inner(
    replicas: list[Params], call: str, arrays: dict[str, np.ndarray], path: str
) -> tuple[Inner, ...]:
    """What the objective kept, with networks from the file, for each replica."""
    if (objective := _nested(call)) is None:
        raise UsageError(f"{path} is damaged: {call} has no networks of its own")
    states = [objective.init(params, 1, jax.random.key(0)) for params in replicas]
    named = {name.removeprefix(NETWORKS): array for name, array in arrays.items()}
    filled = checkpoint.fill([state.aux for state in states], named, path)
    return tuple(s._replace(aux=aux) for s, aux in zip(states, filled, strict=True))


def _history(records: list[Any], path: Path | str) -> History:
    """The epochs of a saved run.

    Raises:
        UsageError: An entry that is no record of an epoch.
    """
    history: list[EpochRecord] = []
    for number, record in enumerate(unspelled(records), start=1):
        what = f"{path}: epoch {number} of the history"
        if not isinstance(record, dict):
            raise UsageError(f"{what} is not a record: got {str(record)[:40]!r}")
        history.append(as_record(record, what))
    return History(history)
