"""Finished batches of a long evaluation in a file, from which the same call goes on."""

import os
import time
from pathlib import Path

import numpy as np

from tightbound.core.digests.arrays import digest_of
from tightbound.core.errors import UsageError
from tightbound.data.arrays import load_arrays, save_arrays

SECONDS = 10.0
"""Least time between two writings."""


class Finished:
    """What has been estimated so far: the leaves of one tree, row by row."""

    def __init__(self, path: str | os.PathLike[str], asked: bytes, *, stays: bool = False) -> None:
        """Names the file, and what must be the same for going on: a SHA-256 of all of it.

        Args:
            path: The file.
            asked: The SHA-256.
            stays: The file is there for more than these data, and stays when they are done.

        Raises:
            UsageError: The file's name does not end in .npz.
        """
        self._path = Path(path)
        if self._path.suffix != ".npz":
            raise UsageError(f"expected a file .npz to resume from, got {path}")
        self._stays = stays
        self._fingerprint = np.frombuffer(asked, np.uint8)
        self._written = time.monotonic()

    def read(self) -> list[np.ndarray]:
        """The leaves of the data that are done; none if there is no file.

        Raises:
            UsageError: The file is damaged, or from another evaluation.
        """
        if not self._path.exists():
            return []
        arrays = load_arrays(self._path)
        digest = arrays.pop("sha256", np.zeros(0, np.uint8))
        if not np.array_equal(digest, _sha256(arrays)):
            raise UsageError(
                f"{self._path} is damaged, or of another version: its arrays do not have the "
                "SHA-256 that was written with them; delete it, and the evaluation begins again"
            )
        found = arrays.pop("fingerprint", np.zeros(0, np.uint8))
        if not np.array_equal(found, self._fingerprint):
            raise UsageError(
                f"{self._path} is from another evaluation (of another model, other parameters, "
                "data or settings, or with another version of JAX): delete it, or give another name"
            )
        return [arrays[str(number)] for number in range(len(arrays))]

    def write(self, leaves: list[list[np.ndarray]]) -> None:
        """Keeps the leaves of all batches so far, if the last writing is some time ago."""
        if time.monotonic() - self._written < SECONDS:
            return
        arrays = {
            str(i): np.concatenate(parts) for i, parts in enumerate(zip(*leaves, strict=True))
        }
        arrays["fingerprint"] = self._fingerprint
        save_arrays(self._path, {**arrays, "sha256": _sha256(arrays)})
        self._written = time.monotonic()

    def remove(self) -> None:
        """Takes the file away once all is done."""
        if not self._stays:
            self._path.unlink(missing_ok=True)


def _sha256(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """SHA-256 of all arrays as bytes: an archive's own checks leave its directory out."""
    return np.frombuffer(bytes.fromhex(digest_of(arrays)), np.uint8)
