"""Data sets: the named ones, and the user's own files and arrays."""

import difflib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tightbound.data.arrays import load_arrays
from tightbound.data.binarized_mnist import BINARIZED_MNIST
from tightbound.data.caltech101 import CALTECH101_SILHOUETTES
from tightbound.data.check import check_values
from tightbound.data.dataset import Dataset
from tightbound.data.digits import DIGITS
from tightbound.data.files import load_array, load_file
from tightbound.data.frey_faces import FREY_FACES
from tightbound.data.mnist import FASHION_MNIST, MNIST
from tightbound.data.omniglot import OMNIGLOT
from tightbound.data.sources import Source, fetch, find, folders
from tightbound.errors import UsageError

__all__ = ["Dataset", "Entry", "check_values", "load", "load_arrays", "names"]

_SOURCES = {
    source.name: source
    for source in (
        DIGITS,
        MNIST,
        FASHION_MNIST,
        BINARIZED_MNIST,
        OMNIGLOT,
        FREY_FACES,
        CALTECH101_SILHOUETTES,
    )
}


class Entry(NamedTuple):
    """A named data set as `tightbound datasets` lists it.

    Attributes:
        name: Name for `load`.
        description: One line: items, values, origin.
        splits: The splits offered; the first is what "default" stands for.
        likelihood: The likelihoods suited.
        where: Where its files lie, or "not on this machine".
    """

    name: str
    description: str
    splits: tuple[str, ...]
    likelihood: str
    where: str


def names() -> list[Entry]:
    """The named data sets; looks at file names only, verifies and downloads nothing."""
    return [
        Entry(source.name, source.description, source.splits, source.likelihood, _where(source))
        for source in _SOURCES.values()
    ]


def load(
    name: str | os.PathLike[str] | np.ndarray,
    *,
    split: str = "default",
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    verify: bool = True,
) -> Dataset:
    """Loads a named data set, the user's own file or folder of images, or an array.

    The files of a named set are looked for in `$TIGHTBOUND_DATA/<name>/`, then in
    `<user's cache folder>/tightbound/<name>/`, and are else downloaded into the first of the two
    that is set. Own data are split 80/10/10 after a shuffle with a fixed seed, unless an .npz
    names train, validation and test. Bytes are divided by 255.

    Args:
        name: A name out of `names()`, a file (.npy, .npz, .csv, .parquet), a folder of images, or
            an array of shape (n, d) or (n, height, width).
        split: The name of a split that the data set offers.
        path: The folder of a named set's files, or one of them; then nothing is downloaded.
        download: Whether files that are not on this machine are downloaded.
        verify: Whether files must have the published checksums; if not, the data set's own is
            "unverified".

    Raises:
        UsageError: An unknown name or split, files that are missing, damaged or others than
            published, or values that are no table of finite numbers.
    """
    source = _SOURCES.get(name) if isinstance(name, str) else None
    _check_split(split, source.splits if source else ("default",), name)
    if source is not None:
        if path is not None and not source.files:
            raise UsageError(f"{source.name} is embedded and has no files; leave path out")
        files = fetch(source, path=path, download=download, verify=verify)
        return source.read(source.splits[0] if split == "default" else split, files)
    if path is not None:
        raise UsageError(f"expected path= with a named data set only, got {path} with {name}")
    if isinstance(name, np.ndarray):
        return load_array(name)
    if isinstance(name, str) and not (Path(name).suffix or os.sep in name or Path(name).exists()):
        close = difflib.get_close_matches(name, _SOURCES, n=3)
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        raise UsageError(
            f"there is no data set {name!r}; {meant}Named are {', '.join(_SOURCES)}; or give a "
            "file .npy, .npz, .csv, .parquet or a folder of images"
        )
    return load_file(Path(name))


def _check_split(split: str, offered: tuple[str, ...], name: object) -> None:
    if split != "default" and split not in offered:
        what = "an array" if isinstance(name, np.ndarray) else name
        raise UsageError(
            f"{what} has no split {split!r}, expected one of "
            f"{', '.join(dict.fromkeys(('default', *offered)))}"
        )


def _where(source: Source) -> str:
    if not source.files:
        return "embedded"
    found = [find(file, folders(source.name)) for file in source.files]
    paths = [path for path in found if path is not None]
    if len(paths) < len(found):
        return "not on this machine"
    return str(paths[0] if len(paths) == 1 else paths[0].parent)
