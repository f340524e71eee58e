"""Frey faces: 1,965 frames of one video of one face, 28x20, bytes."""

import numpy as np
from jaxtyping import UInt8

from tightbound.core.errors import UsageError
from tightbound.data.dataset import UNVERIFIED, Dataset
from tightbound.data.published.file import Fetched, File, sha256
from tightbound.data.published.lookup import Published
from tightbound.data.published.matlab import read_matlab
from tightbound.data.splits import SEED, in_three, sizes_in_words, tenths

SPLITS = {"frey_faces": ("contiguous", "random")}
_SHAPE = (28, 20)


def _read(split: str, files: list[Fetched]) -> Dataset:
    (file,) = files
    faces = _faces(file.content, file.where)
    if len(faces) < 10:
        raise UsageError(f"{file.where}: expected at least 10 frames, got {len(faces)}")
    grey = faces.astype(np.float32) / np.float32(255)
    random = split == "random"
    indices = in_three(len(grey), tenths(len(grey)), seed=SEED if random else None)
    train, validation, test = (grey[part] for part in indices)
    how = f"shuffled once (seed {SEED}); leaks, frames are correlated" if random else "in time"
    return Dataset(
        name="frey_faces",
        train=train,
        validation=validation,
        test=test,
        shape=_SHAPE,
        units="grey",
        split=f"{split}: {how}, {sizes_in_words(indices)}",
        checksum=file.checksum,
        notes=(
            "frames of one video, correlated in time",
            "values are bytes / 255, for likelihoods dequantise them: (255 * value + u) / 256 with "
            "u uniform in [0, 1), whose log-density is 560 * log(256) = 3,105.3 nats above that "
            "of bytes",
            *(() if file.checksum == UNVERIFIED else ("the checksum is of the bytes' values",)),
        ),
    )


def _faces(content: bytes, where: str) -> UInt8[np.ndarray, "n 560"]:
    faces = read_matlab(content, {"ff": (560, -1)}, where)["ff"]
    if faces.dtype != np.uint8:
        raise UsageError(f"{where}: expected unsigned bytes under ff, got {faces.dtype}")
    return np.ascontiguousarray(faces.T)


FREY_FACES = Published(
    name="frey_faces",
    description="1,965 frames of one video of a face, 28x20, grey (S. Roweis's page)",
    splits=SPLITS["frey_faces"],
    likelihood="gaussian",
    read=_read,
    files=(
        File(
            "frey_rawface.mat",
            "https://cs.nyu.edu/~roweis/data/frey_rawface.mat",
            ("2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78",),
            values=lambda content, where: sha256(_faces(content, where).tobytes()),
        ),
    ),
)
