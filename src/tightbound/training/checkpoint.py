"""Checkpoints: the named leaves of a tree and JSON metadata in one file, never a pickle."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from tightbound.core.digests.arrays import write_arrays
from tightbound.core.errors import UsageError


def named_leaves(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a tree by the name of their path, on the host."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def write(path: Path, kind: str, tree: Any, metadata: dict[str, Any]) -> None:
    """Writes arrays and metadata as one file of a kind in words, whole or not at all."""
    write_arrays(path, kind, named_leaves(tree), metadata)


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
