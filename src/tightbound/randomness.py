"""Keys: seeds become typed keys in one place, and items get keys of their own."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray

from tightbound.errors import UsageError, is_whole

LARGEST = 2**32 - 1
"""Seeds beyond are cut to 32 bits by JAX, so that two of them are one."""


def as_key(key: Any) -> PRNGKeyArray:
    """A typed key from a seed; a key passes through.

    Raises:
        UsageError: Something else than a whole number or a key, or a seed that JAX would cut.
    """
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape:
            raise UsageError(f"expected one key, got an array of keys of shape {key.shape}")
        return key
    if not is_whole(key):
        raise UsageError(
            f"expected key to be a whole number or a key of jax.random.key, got {_shown(key)}"
        )
    seed = int(key)
    if not 0 <= seed <= LARGEST:
        raise UsageError(f"expected key from 0 to {LARGEST}, got {seed}")
    return jax.random.key(seed)


def item_keys(key: PRNGKeyArray, items: Int[Array, " n"]) -> Key[Array, " n"]:
    """One key per item (or draw, or replica), by its number, whatever stands beside it."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, items)


def _shown(key: Any) -> str:
    """What came, with a word for the keys of old."""
    if getattr(key, "dtype", None) == jnp.uint32:
        return "raw bits, as of jax.random.PRNGKey: use jax.random.key"
    return repr(key)
