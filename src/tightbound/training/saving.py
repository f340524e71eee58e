"""Saving and loading fitted models: arrays by name, and the structure as plain JSON."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tightbound.distributions import (
    Bernoulli,
    BottomLayer,
    DiagonalNormal,
    Layered,
    StandardNormal,
)
from tightbound.errors import UsageError
from tightbound.models.model import Model
from tightbound.networks import MLP, Dense
from tightbound.objectives import Parts
from tightbound.training import checkpoint
from tightbound.training.fit import Run
from tightbound.training.records import EpochRecord, History

KNOWN = {
    cls.__name__: cls
    for cls in (Bernoulli, BottomLayer, DiagonalNormal, Dense, Layered, MLP, Model, StandardNormal)
}
"""The only classes that a file can ask for."""


def save(path: Path | str, run: Run) -> None:
    """Writes a run's replicas, history and description to one safetensors file.

    Networks of your own are saved as arrays; to load them again, `load` needs `like`.
    """
    replicas = [eqx.filter(parts, eqx.is_array) for parts in run.replicas]
    metadata = {
        "structure": _describe(run.replicas[0]),
        "replicas": len(replicas),
        "history": [list(record) for record in run.history],
        "objective": run.objective,
        "binarisation": run.binarisation,
        "epochs_run": run.epochs_run,
        "seconds_checkpoints": run.seconds_checkpoints,
    }
    checkpoint.write(Path(path), replicas, metadata)


def load(path: Path | str, like: tuple[Any, Any] | None = None) -> Run:
    """Reads what `save` wrote.

    Args:
        path: The file.
        like: `(model, posterior)` of the same structure, for models with networks of your own.

    Raises:
        UsageError: No such file, a truncated one, names or shapes that do not fit, or a network
            of your own without `like`.
    """
    arrays, metadata = checkpoint.read(Path(path))
    if like is None:
        parts = _rebuild(metadata["structure"], str(path))
    else:
        parts = Parts(*like)
    template, static = eqx.partition([parts] * metadata["replicas"], eqx.is_array)
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


def _describe(node: Any) -> Any:
    """A tree of our own classes as JSON; arrays by shape and dtype."""
    if isinstance(node, Parts):
        return {"parts": [_describe(part) for part in node]}
    if isinstance(node, tuple):
        return {"tuple": [_describe(item) for item in node]}
    if eqx.is_array(node):
        return {"array": [list(node.shape), str(node.dtype)]}
    if node is None or isinstance(node, bool | int | float | str):
        return {"value": node}
    if KNOWN.get(type(node).__name__) is type(node):
        fields = dataclasses.fields(node)
        return {
            "class": type(node).__name__,
            "fields": {field.name: _describe(getattr(node, field.name)) for field in fields},
        }
    return {"own": f"{type(node).__module__}.{type(node).__qualname__}"}


def _rebuild(node: Any, what: str) -> Any:
    """The tree that `_describe` saw, with zeros for its arrays."""
    match node:
        case {"parts": parts}:
            return Parts(*(_rebuild(part, what) for part in parts))
        case {"tuple": items}:
            return tuple(_rebuild(item, what) for item in items)
        case {"array": [shape, dtype]}:
            return jnp.zeros(shape, jax.dtypes.canonicalize_dtype(dtype))
        case {"value": value}:
            return value
        case {"class": name, "fields": fields} if name in KNOWN:
            return KNOWN[name](**{key: _rebuild(value, what) for key, value in fields.items()})
        case {"own": name}:
            raise UsageError(
                f"{what} holds a network of your own ({name}): pass like=(model, posterior)"
            )
    raise UsageError(f"{what} has a structure that this version does not know: {node!r}")
