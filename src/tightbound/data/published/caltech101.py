"""Caltech-101 silhouettes at 28x28: binary outlines of objects, in the published split.

Reference: Marlin, Swersky, Chen & de Freitas 2010.
"""

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.check import check_values
from tightbound.data.dataset import Dataset
from tightbound.data.published.file import Fetched, File
from tightbound.data.published.lookup import Published
from tightbound.data.published.matlab import read_matlab, upright
from tightbound.data.splits import PARTS, sizes_in_words

SPLITS = {"caltech101_silhouettes": ("default",)}
_SIDE = 28
_KEYS = {"train": "train", "validation": "val", "test": "test"}


def _read(split: str, files: list[Fetched]) -> Dataset:
    (file,) = files
    shapes = {f"{key}_data": (-1, _SIDE**2) for key in _KEYS.values()}
    shapes |= {f"{key}_labels": (-1, 1) for key in _KEYS.values()}
    arrays = read_matlab(file.content, shapes, file.where)
    images, labels = {}, {}
    for part, key in _KEYS.items():
        rows = upright(arrays[f"{key}_data"].astype(np.float32), _SIDE, _SIDE)
        check_values(rows, "binary", f"{file.where}: {key}_data")
        images[part] = rows
        labels[part] = arrays[f"{key}_labels"].ravel()
        if len(labels[part]) != len(rows):
            raise UsageError(
                f"{file.where}: expected {len(rows):,} labels under {key}_labels, "
                f"got {len(labels[part]):,}"
            )
    return Dataset(
        name="caltech101_silhouettes",
        **images,
        shape=(_SIDE, _SIDE),
        units="binary",
        split=f"{split}: as published, {sizes_in_words([images[part] for part in PARTS])}",
        checksum=file.checksum,
        labels=labels,
        notes=(
            "the object is 0 and the ground is 1, as published",
            "classes are capped in train alone, so the parts differ in distribution",
        ),
    )


CALTECH101_SILHOUETTES = Published(
    name="caltech101_silhouettes",
    description="4,100 / 2,264 / 2,307 silhouettes of objects of 101 classes, 28x28, binary",
    splits=SPLITS["caltech101_silhouettes"],
    likelihood="bernoulli",
    read=_read,
    files=(
        File(
            "caltech101_silhouettes_28_split1.mat",
            "https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",
            ("eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",),
        ),
    ),
)
