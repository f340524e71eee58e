"""Modules with their numbers elsewhere: what begins as zero tells nothing."""

from typing import Any

import equinox as eqx
import jax


def moved(tree: Any, size: float = 0.1) -> Any:
    """The tree with a normal number of that size added to all of its own."""
    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    added = [a + size * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, added), rest)
