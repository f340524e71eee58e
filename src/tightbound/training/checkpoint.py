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


def write(path: Path, kind: str, tree: Any, metadata: dict[str, Any]) -> None:
    """Writes arrays and metadata as one file of a kind in words, whole or not at all."""
    arrays = {
        name: np.ascontiguousarray(leaf).reshape(leaf.shape)  # which would give scalars an axis
        for name, leaf in named_leaves(tree).items()
    }
    header = {"tightbound": json.dumps({"schema": SCHEMA, "kind": kind, **metadata})}
    write_atomic(path, save(arrays, header))


def read(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays by name, and the metadata.

    Raises:
        UsageError: The file is missing, truncated, not one of ours, or of another kind.
    """
    if not path.is_file():
        raise UsageError(f"expected a {kind} at {path}, found no file")
    payload = path.read_bytes()
    try:
        arrays = load(payload)
        size = int.from_bytes(payload[:8], "little")
        metadata = json.loads(json.loads(payload[8 : 8 + size])["__metadata__"]["tightbound"])
        schema, found = metadata["schema"], metadata["kind"]
    except KeyError as error:
        raise UsageError(f"{path} was not written by tightbound: {error} is missing") from error
    except (SafetensorError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a whole tightbound file: {error}") from error
    if schema != SCHEMA:
        raise UsageError(f"{path} has schema {schema}, expected {SCHEMA}")
    if found != kind:
        raise UsageError(f"expected a {kind} at {path}, found a {found}")
    return arrays, metadata


def mismatches(tree: Any, arrays: dict[str, np.ndarray]) -> list[str]:
    """All differences in names, shapes and (JAX) dtypes between a tree and named arrays."""
    leaves = {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    wrong = [f"{name} is missing" for name in leaves if name not in arrays]
    wrong += [f"{name} is unknown" for name in arrays if name not in leaves]
    for name in [name for name in leaves if name in arrays]:
        leaf, found = leaves[name], arrays[name]
        dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
        if (leaf.shape, dtype) != (found.shape, found.dtype):
            wrong.append(
                f"{name} is {found.dtype}{list(found.shape)}, expected {dtype}{list(leaf.shape)}"
            )
    return wrong


def fill(tree: Any, arrays: dict[str, np.ndarray], what: str) -> Any:
    """Puts named arrays into a tree of the same names, shapes and (JAX) dtypes.

    Raises:
        UsageError: All differences, in one line.
    """
    wrong = mismatches(tree, arrays)
    if wrong:
        raise UsageError(f"{what} does not fit: {'; '.join(wrong)}")
    # Copies: training gives its buffers away, and these belong to the file that was read.
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.numpy.array(arrays[jax.tree_util.keystr(path)]), tree
    )
