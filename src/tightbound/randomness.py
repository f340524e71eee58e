"""Keys: seeds become typed keys in one place, and items get keys of their own."""

import jax
from jaxtyping import Array, Int, Key, PRNGKeyArray


def as_key(key: int | PRNGKeyArray) -> PRNGKeyArray:
    """A typed key from a seed; a key passes through."""
    return jax.random.key(key) if isinstance(key, int) else key


def item_keys(key: PRNGKeyArray, items: Int[Array, " n"]) -> Key[Array, " n"]:
    """One key per item (or draw, or replica), by its number, whatever stands beside it."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, items)
