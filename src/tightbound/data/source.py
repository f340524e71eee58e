"""The one object that data are once they have passed the door: what a model sees comes from here.

Values stay on the host as they came, also in a file that is larger than the memory: a batch of rows
is read, made single precision, masked and binarised when it is asked for.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32, PRNGKeyArray, Shaped

from tightbound.core.items import Items
from tightbound.data.binarise import Binarisation
from tightbound.data.check import blocks


@dataclass(frozen=True, eq=False)
class Source:
    """Data that a model takes, checked once; made by `tb.source`.

    Attributes:
        x: The values, of the shape (n, *item) of the model's items, and of any real type; NaN where
            they are missing.
        support: Where they lie.
        binarisation: How they become binary.
        missing: How many values are missing.
        labels: The label of each datum, from 0, and -1 where it is not known; None where there are
            none.
        conditions: The condition of each datum, of shape (n, c); None for a model without one.
    """

    x: Shaped[np.ndarray, "n *item"]
    support: str
    binarisation: Binarisation
    missing: int = 0
    labels: Int32[np.ndarray, " n"] | None = None
    conditions: Float32[np.ndarray, "n c"] | None = None

    def __len__(self) -> int:
        """The number of data."""
        return len(self.x)

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape of one datum."""
        return self.x.shape[1:]

    @property
    def size(self) -> int:
        """How many values a datum has."""
        return math.prod(self.item_shape)

    def items(self, rows: Int[np.ndarray, " b"] | slice = slice(None)) -> Items:
        """Some rows on the device, or all, with their values as they are: not yet binarised."""
        numbers = np.arange(len(self))[rows]
        some = self.read(rows)
        observed = ~np.isnan(some) if self.missing else None
        known = some if observed is None else np.where(observed, some, np.float32(0))
        label, condition = (None if a is None else a[rows] for a in (self.labels, self.conditions))
        observed, label, condition = (
            None if a is None else jnp.asarray(a) for a in (observed, label, condition)
        )
        return Items(jnp.asarray(known), jnp.asarray(numbers), observed, label, condition)

    def read(
        self, rows: Int[np.ndarray, " b"] | slice = slice(None), dtype: Any = np.float32
    ) -> Shaped[np.ndarray, "b *item"]:
        """The values of some rows, or of all, in a precision; NaN where they are missing."""
        return np.asarray(self.x[rows], dtype)

    def seen(
        self,
        rows: Int[np.ndarray, " b"] | slice = slice(None),
        *,
        key: PRNGKeyArray,
        use: int | Int[Array, ""] = 0,
    ) -> Items:
        """Some rows as the model sees them when they are used for the `use`-th time.

        A row is binarised by the key and its number alone, whichever others come with it.
        """
        return self.binarisation.seen(self.items(rows), use=use, key=key)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the values in single precision, and of labels and conditions behind them."""
        found = hashlib.sha256()
        for _, some in blocks(self.x, np.float32):
            found.update(np.ascontiguousarray(some).data)
        for name, array in (("labels", self.labels), ("conditions", self.conditions)):
            if array is not None:
                found.update(f"{name}{array.shape}".encode() + np.ascontiguousarray(array).data)
        return found.hexdigest()
