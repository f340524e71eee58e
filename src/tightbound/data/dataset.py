"""The record that every loader returns."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int

from tightbound.core.errors import UsageError
from tightbound.data.schema import Schema
from tightbound.data.sequences import lengths_of

UNVERIFIED = "unverified"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three parts of one data set, and what a result must say about them.

    Attributes:
        name: The data set's name, such as "digits" or "omniglot (stand-in)".
        train: Items to train on, one flattened (row-major, upright) item a row.
        validation: Items to tune on.
        test: Items to report on.
        shape: Shape of one item before flattening, such as (28, 28) or (13,).
        units: "binary" ({0, 1}), "grey" ([0, 1]) or "real".
        split: The split's name, then in words which items went where, with the sizes.
        checksum: SHA-256 in hexadecimal digits, or "unverified". That of the file's bytes; of
            several files, that of their checksums one after another; where the notes say so,
            that of the values.
        labels: A label per item for each part; empty where there are none.
        notes: What a reader must know, such as the foreground convention, and all that was
            guessed, converted or left out.
        rows: Of own data, for each part, the row in the source (from 0) of each item; of parts
            that a file names, the row in that part.
        row_names: Names of the source's rows, such as a frame's index or the files of images.
        columns: Names of the columns of a table.
        scale: What the source's numbers were divided by.
        schema: What the columns of a table are; None for images and arrays.
    """

    name: str
    train: Float32[np.ndarray, "train d"]
    validation: Float32[np.ndarray, "validation d"]
    test: Float32[np.ndarray, "test d"]
    shape: tuple[int, ...]
    units: str
    split: str
    checksum: str
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: dict[str, Int[np.ndarray, " part"]] = field(default_factory=dict)
    row_names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    scale: float = 1.0
    schema: Schema | None = None

    def lengths(self, part: str = "train") -> Int[np.ndarray, " n"]:
        """How many steps each sequence of a part has, up to its last with a known value.

        Raises:
            UsageError: Items that are no sequences of shape (steps, d).
        """
        if len(self.shape) != 2:
            raise UsageError(f"expected sequences of shape (steps, d), got items of {self.shape}")
        return lengths_of(getattr(self, part).reshape(-1, *self.shape))
