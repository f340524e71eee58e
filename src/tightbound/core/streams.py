"""Keys: every use of randomness has a stream of its own, by name or by number.

A key's children are its named streams, folded in as numbers of 2^31 and above, and its numbered
ones (data, draws, replicas, rounds), folded in as themselves, which are below. So no name meets a
number. `jax.random.split(key, n)[i]` is `fold_in(key, i)`: streams made by both from one key would
be the same stream, so that neither is called anywhere else. Tests hold that every name stands at
one place, and that no two streams of a run are equal.
"""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, is_whole

NAMED = 2**31
"""The least number that stands for a name."""


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


def digest(name: str) -> int:
    """The number of a stream's name, of 2^31 or more and below 2^32."""
    return NAMED | int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


def stream(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """The named stream of a key, such as "fit.order"."""
    return jax.random.fold_in(key, np.uint32(digest(name)))


def streams(key: PRNGKeyArray, *names: str) -> tuple[PRNGKeyArray, ...]:
    """Several named streams of a key, in the order of the names."""
    numbers = np.array([digest(name) for name in names], np.uint32)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
    return tuple(keys[i] for i in range(len(names)))


def each_stream(keys: Key[Array, " n"], name: str) -> Key[Array, " n"]:
    """The named stream of each of n keys."""
    return jax.vmap(lambda key: stream(key, name))(keys)


def numbered(key: PRNGKeyArray, number: int | Int[Array, ""]) -> PRNGKeyArray:
    """The key of one item, draw, round, ... by its number, from 0 to 2^31 - 1."""
    return jax.random.fold_in(key, number)


def item_keys(key: PRNGKeyArray, items: Int[Array, " n"]) -> Key[Array, " n"]:
    """One key per item (or draw, or replica), by its number, whatever stands beside it."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, items)


def first_keys(key: PRNGKeyArray, n: int) -> Key[Array, " n"]:
    """The keys of the numbers from 0 to n - 1."""
    return item_keys(key, jnp.arange(n))


def _shown(key: Any) -> str:
    """What came, with a word for the keys of old."""
    if getattr(key, "dtype", None) == jnp.uint32:
        return "raw bits, as of jax.random.PRNGKey: use jax.random.key"
    return repr(key)
