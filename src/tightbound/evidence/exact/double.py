"""Double precision for what is to be exact, whatever the caller's settings of JAX are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from tightbound.core.items import Data, Datum
from tightbound.core.items import values as values_of
from tightbound.evidence.batches import Prepared


@contextmanager
def double() -> Iterator[None]:
    """Numbers are float64 within; what a user's function holds in float32 is taken along."""
    with jax.enable_x64(new_val=True), jax.numpy_dtype_promotion("standard"):
        yield


def widened(tree: Any) -> Any:
    """The same tree with its float32 arrays as float64; to be called within `double`."""

    def wide(leaf: Any) -> Any:
        narrow = isinstance(leaf, jax.Array | np.ndarray) and leaf.dtype == np.float32
        return jnp.asarray(leaf, jnp.float64) if narrow else leaf

    return jax.tree.map(wide, tree)


def undrawn(data: Prepared, values: Data, rows: Int[Array, " b"]) -> Data:
    """The values of a batch in float64, as they came unless they have been binarised.

    Conditions are in single precision, as networks see them.
    """
    source, shown = data.source, values_of(values)
    if source.binarisation.mode == "none":
        x = np.nan_to_num(source.read(np.asarray(rows), np.float64), nan=0.0)
    else:
        x = np.asarray(shown, np.float64)
    exact = jax.device_put(x, shown.sharding)
    if not isinstance(values, Datum):
        return exact
    beside = values.condition
    return Datum(exact, values.observed, None if beside is None else widened(beside))
