"""Checkpoints: named leaves and JSON metadata in one safetensors file, never a pickle."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tightbound.errors import UsageError
from tightbound.files import write_atomic

SCHEMA = 1


def named_leaves(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a tree by the name of their path, on the host."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def write(path: Path, tree: Any, metadata: dict[str, Any]) -> None:
    """Writes arrays and metadata as one file, whole or not at all."""
    arrays = {
        name: np.ascontiguousarray(leaf).reshape(leaf.shape)  # which would give scalars an axis
        for name, leaf in named_leaves(tree).items()
    }
    header = {"tightbound": json.dumps({"schema": SCHEMA, **metadata})}
    write_atomic(path, save(arrays, header))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays by name, and the metadata.

    Raises:
        UsageError: The file is missing, truncated, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"expected a saved run at {path}, found no file")
    payload = path.read_bytes()
    try:
        arrays = load(payload)
        size = int.from_bytes(payload[:8], "little")
        metadata = json.loads(json.loads(payload[8 : 8 + size])["__metadata__"]["tightbound"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not a whole tightbound file: {error}") from error
    if metadata["schema"] != SCHEMA:
        raise UsageError(f"{path} has schema {metadata['schema']}, expected {SCHEMA}")
    return arrays, metadata


def fill(tree: Any, arrays: dict[str, np.ndarray], what: str) -> Any:
    """Puts named arrays into a tree of the same names, shapes and dtypes.

    Raises:
        UsageError: All differences, in one line.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    wrong = [f"{name} missing" for name in names if name not in arrays]
    wrong += [f"{name} unknown" for name in arrays if name not in names]
    for name, (_, leaf) in zip(names, paths, strict=True):
        if name in arrays and (leaf.shape, leaf.dtype) != (arrays[name].shape, arrays[name].dtype):
            wrong.append(
                f"{name} is {arrays[name].dtype}{list(arrays[name].shape)}, "
                f"expected {leaf.dtype}{list(leaf.shape)}"
            )
    if wrong:
        raise UsageError(f"{what} does not fit: {'; '.join(wrong)}")
    return jax.tree.unflatten(structure, [jax.numpy.asarray(arrays[name]) for name in names])
