"""The 8x8 digits embedded in scikit-learn: 1,797 handwritten digits, grey, no download."""

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.dataset import Dataset
from tightbound.data.published.file import Fetched, sha256
from tightbound.data.published.lookup import Published
from tightbound.data.splits import PARTS, SEED, in_three, sizes_in_words

SPLITS = {"digits": ("default",)}
_DIGEST = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
_SIZES = (1_297, 200, 300)


def _read(split: str, files: list[Fetched]) -> Dataset:
    from sklearn.datasets import load_digits

    values, target = map(np.asarray, load_digits(return_X_y=True))
    checksum = sha256(values.astype(np.uint8).tobytes())
    if checksum != _DIGEST:
        raise UsageError(
            f"scikit-learn's digits: expected values of sha256 {_DIGEST}, got {checksum}; "
            "another release of scikit-learn holds other digits"
        )
    grey = values.astype(np.float32) / np.float32(16)
    indices = in_three(len(grey), _SIZES, seed=SEED)
    train, validation, test = (grey[part] for part in indices)
    return Dataset(
        name="digits",
        train=train,
        validation=validation,
        test=test,
        shape=(8, 8),
        units="grey",
        split=f"{split}: shuffled once (seed {SEED}), {sizes_in_words(indices)}",
        checksum=checksum,
        labels={name: target[part] for name, part in zip(PARTS, indices, strict=True)},
        notes=("values are counts / 16, ink is high", "the checksum is of the counts"),
    )


DIGITS = Published(
    name="digits",
    description="1,797 handwritten digits, 8x8, grey; embedded in scikit-learn",
    splits=SPLITS["digits"],
    likelihood="bernoulli (binarised)",
    read=_read,
)
