"""MNIST binarised once and for all, in Larochelle's split: text files of 784 digits a row.

The rows are not in the order of MNIST, so no labels can be had.

Reference: Salakhutdinov & Murray 2008; Larochelle & Murray 2011.
"""

import numpy as np
from jaxtyping import Float32

from tightbound.core.errors import UsageError
from tightbound.data.dataset import Dataset
from tightbound.data.published.file import Fetched, File
from tightbound.data.published.lookup import Published, combined
from tightbound.data.splits import sizes_in_words

SPLITS = {"binarized_mnist": ("default",)}
_SHAPE = (28, 28)
_ROW = 2 * 784  # each digit is followed by a blank, the last one by a newline
_BASE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"


def _read(split: str, files: list[Fetched]) -> Dataset:
    parts = [_read_amat(file) for file in files]
    train, validation, test = parts
    return Dataset(
        name="binarized_mnist",
        train=train,
        validation=validation,
        test=test,
        shape=_SHAPE,
        units="binary",
        split=f"{split}: as published, {sizes_in_words(parts)}",
        checksum=combined(files),
        notes=("one fixed binarisation, ink = 1", "rows are not in the order of mnist"),
    )


def _read_amat(file: Fetched) -> Float32[np.ndarray, "n 784"]:
    if not file.content or len(file.content) % _ROW:
        raise UsageError(
            f"{file.where}: expected rows of exactly {_ROW:,} bytes, got {len(file.content):,} "
            "bytes in all: incomplete or another format"
        )
    rows = np.frombuffer(file.content, np.uint8).reshape(-1, _ROW)
    good = np.empty(rows.shape, bool)
    good[:, ::2] = (rows[:, ::2] == ord("0")) | (rows[:, ::2] == ord("1"))
    good[:, 1:-1:2] = rows[:, 1:-1:2] == ord(" ")
    good[:, -1] = rows[:, -1] == ord("\n")
    if not good.all():
        row, byte = np.argwhere(~good)[0]
        raise UsageError(
            f"{file.where}: row {row}, byte {byte} (counted from 0) is "
            f"{chr(rows[row, byte])!r}, expected digits 0 or 1 with single blanks between"
        )
    return (rows[:, ::2] - np.uint8(ord("0"))).astype(np.float32)


BINARIZED_MNIST = Published(
    name="binarized_mnist",
    description="50,000 / 10,000 / 10,000 handwritten digits, 28x28, binarised once",
    splits=SPLITS["binarized_mnist"],
    likelihood="bernoulli",
    read=_read,
    files=(
        File(
            "binarized_mnist_train.amat",
            f"{_BASE}/binarized_mnist_train.amat",
            ("ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",),
        ),
        File(
            "binarized_mnist_valid.amat",
            f"{_BASE}/binarized_mnist_valid.amat",
            ("1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",),
        ),
        File(
            "binarized_mnist_test.amat",
            f"{_BASE}/binarized_mnist_test.amat",
            ("e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",),
        ),
    ),
)
