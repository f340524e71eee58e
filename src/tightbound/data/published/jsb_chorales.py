"""Bach's chorales at quarter notes: sequences of piano rolls with 88 keys.

Reference: Boulanger-Lewandowski, Bengio & Vincent 2012, arXiv 1206.6392 (data and split).
"""

from typing import Any

import numpy as np
from jaxtyping import Float32

from tightbound.core.errors import UsageError
from tightbound.data.dataset import Dataset
from tightbound.data.published.file import Fetched, File
from tightbound.data.published.lookup import Published
from tightbound.data.readers.sequences import parse_json
from tightbound.data.splits import PARTS, sizes_in_words

SPLITS = {"jsb_chorales": ("default",)}
_KEYS = 88
_LOWEST = 21  # the MIDI pitch of the first key
_NAMES = {"train": "train", "validation": "valid", "test": "test"}


def _read(split: str, files: list[Fetched]) -> Dataset:
    (file,) = files
    found = parse_json(file.content, file.where)
    if not isinstance(found, dict) or set(found) != set(_NAMES.values()):
        raise UsageError(f"{file.where}: expected the keys {', '.join(_NAMES.values())}")
    steps = max((len(one) for part in found.values() for one in _list(part, file.where)), default=0)
    parts = {
        name: _rolls(found[key], steps, f"{file.where}[{key}]") for name, key in _NAMES.items()
    }
    counts = [sum(map(len, found[key])) for key in _NAMES.values()]
    shortest = min(len(one) for part in found.values() for one in part)
    return Dataset(
        name="jsb_chorales",
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        shape=(steps, _KEYS),
        units="binary",
        split=f"{split}: as published, {sizes_in_words([parts[part] for part in PARTS])}",
        checksum=file.checksum,
        notes=(
            f"sequences of {shortest} to {steps} steps, NaN behind their ends; "
            f"{counts[0]:,} / {counts[1]:,} / {counts[2]:,} steps in all",
            "a step is a quarter note, a column a key: 1 where it sounds, held or struck anew",
        ),
    )


def _rolls(part: Any, steps: int, where: str) -> Float32[np.ndarray, "n d"]:
    """Piano rolls of all sequences, one flattened a row."""
    sequences = _list(part, where)
    if not sequences:
        raise UsageError(f"{where}: expected at least one sequence, got none")
    x = np.full((len(sequences), steps, _KEYS), np.nan, np.float32)
    for i, sequence in enumerate(sequences):
        for t, step in enumerate(_list(sequence, f"{where}: sequence {i}")):
            x[i, t] = 0
            for pitch in _list(step, f"{where}: sequence {i}, step {t}"):
                key = pitch - _LOWEST if type(pitch) is int else -1
                if not 0 <= key < _KEYS:
                    raise UsageError(
                        f"{where}: sequence {i}, step {t} (counted from 0) has the pitch "
                        f"{pitch!r:.40}, expected a whole number from {_LOWEST} to "
                        f"{_LOWEST + _KEYS - 1}"
                    )
                x[i, t, key] = 1
        if not len(sequence):
            raise UsageError(f"{where}: sequence {i} (counted from 0) has no step")
    return x.reshape(len(x), -1)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError(f"{where}: expected a list, got {value!r:.40}")
    return value


JSB_CHORALES = Published(
    name="jsb_chorales",
    description="229 / 76 / 77 chorales of up to 160 quarter notes by 88 keys, binary",
    splits=SPLITS["jsb_chorales"],
    likelihood="bernoulli",
    read=_read,
    files=(
        File(
            "jsb-chorales-quarter.json",
            "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/"
            "jsb-chorales-quarter.json",
            ("2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",),
        ),
    ),
)
