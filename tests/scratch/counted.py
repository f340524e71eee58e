"""Counts of three kinds of rates; for a test that adds a data source."""

import numpy as np

from tightbound.data.dataset import Dataset
from tightbound.data.published.file import Fetched, sha256
from tightbound.data.published.lookup import Published

SPLITS = {"counted": ("default", "halves")}


def _read(split: str, files: list[Fetched]) -> Dataset:
    rates = np.random.default_rng(0).integers(1, 4, (60, 1))
    values = np.random.default_rng(1).poisson(rates, (60, 36)).astype(np.float32)
    parts = np.split(values, (30, 45) if split == "halves" else (40, 50))
    return Dataset(
        name="counted",
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        shape=(6, 6),
        units="real",
        split=split,
        checksum=sha256(values.tobytes()),
    )


COUNTED = Published(
    name="counted",
    description="60 tables of 6 x 6 counts, drawn by a seed",
    splits=SPLITS["counted"],
    likelihood="geometric",
    read=_read,
)
