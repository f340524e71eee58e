"""Reads files of numbers: text, Parquet, NumPy's formats, JSON, folders of images."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tightbound.core.errors import UsageError, unknown
from tightbound.data.coded import coded
from tightbound.data.declared import Declared
from tightbound.data.door import Values
from tightbound.data.published.file import sha256
from tightbound.data.readers.images import Folder, read_images
from tightbound.data.readers.numpy_files import parse_numpy
from tightbound.data.readers.parquet import parse_parquet
from tightbound.data.readers.raw import read_whole, shown
from tightbound.data.readers.sequences import parse_sequences
from tightbound.data.readers.text import parse_text
from tightbound.data.splits import PARTS

__all__ = ["SUFFIXES", "TEXT", "Contents", "read", "shown"]

TEXT = (".csv", ".tsv", ".data", ".txt")
SUFFIXES = (".npy", ".npz", ".parquet", ".json", *TEXT)


class Contents(NamedTuple):
    """What a file or folder holds.

    Attributes:
        parts: The numbers under train, validation and test, or under x.
        checksum: SHA-256 of the bytes; of a folder, that of the files' checksums.
    """

    parts: dict[str, Values]
    checksum: str


def read(path: Path, *, header: bool | None, said: Declared) -> Contents:
    """Reads a file (.npy, .npz, .parquet, .json, .csv, .tsv, .data, .txt) or a folder of images.

    Args:
        path: The file or folder.
        header: Whether the first line of a text table names its columns; None: it must tell.
        said: What was said of a table's columns.

    Raises:
        UsageError: No such file, an unknown format, or contents that are damaged or no numbers.
    """
    suffix = path.suffix.lower()
    is_folder = _is_folder(path)
    if header is not None and (is_folder or suffix not in TEXT):
        raise UsageError(f"{shown(path)}: header= is for tables in text ({', '.join(TEXT)})")
    if said and (is_folder or suffix not in (*TEXT, ".parquet")):
        raise UsageError(
            f"{shown(path)}: what columns are can be said of tables ({', '.join(TEXT)}, .parquet)"
        )
    if is_folder:
        return _images(path)
    if suffix not in SUFFIXES and path.exists():
        hint = unknown("file suffix", suffix, SUFFIXES)
        raise UsageError(f"{shown(path)}: {hint}; or give a folder of images")
    content = read_whole(path)
    what = shown(path)
    if suffix in TEXT:
        table = parse_text(content, what, suffix=suffix, header=header, texts=said.texts)
        parts = {"x": coded(table, said)}
    elif suffix == ".parquet":
        parts = {"x": coded(parse_parquet(content, what), said)}
    elif suffix == ".json":
        parts = {name: Values(x) for name, x in parse_sequences(content, what).items()}
    else:
        arrays = _npy(content, what) if suffix == ".npy" else _npz(content, what)
        used, others = arrays
        names = ", ".join(shown(name)[:40] for name in others[:3]) + (", ..." * (len(others) > 3))
        notes = (f"other arrays of the file were left out: {names}",) if others else ()
        parts = {name: Values(array, notes=notes) for name, array in used.items()}
    return Contents(parts, sha256(content))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _images(path: Path) -> Contents:
    folder = Folder(path)
    if not folder.paths:
        inside = ", ".join(folder.others[:3]) or "nothing"
        raise UsageError(
            f"{shown(path)}: expected a file {', '.join(SUFFIXES)}, or a folder with images "
            f"(.png, .jpg, ...), got a folder with {inside}"
        )
    pixels, checksum, notes = read_images(folder)
    names = tuple(shown(image.name) for image in folder.paths)
    values = Values(pixels, rows=names, notes=tuple(notes), full_scale=255.0)
    return Contents({"x": values}, checksum)


def _npy(content: bytes, what: str) -> tuple[dict[str, np.ndarray], list[str]]:
    array = parse_numpy(content, what)
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{what}: expected one array, got an archive; name it .npz")
    return {"x": array}, []


def _npz(content: bytes, what: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that are data, and the names of the others."""
    arrays = parse_numpy(content, what)
    if isinstance(arrays, np.ndarray):
        raise UsageError(f"{what}: expected an archive, got one array; name it .npy")
    if set(PARTS) <= set(arrays):
        others = [name for name in arrays if name not in PARTS]
        return {part: arrays[part] for part in PARTS}, others
    if set(PARTS) & set(arrays) or ("x" not in arrays and len(arrays) != 1):
        got = shown(", ".join(arrays))[:200]
        raise UsageError(
            f"{what}: expected the keys {', '.join(PARTS)}, or one array, or x; "
            f"got {got or 'nothing'}"
        )
    array = arrays.get("x", next(iter(arrays.values())))
    return {"x": array}, [name for name in arrays if len(arrays) > 1 and name != "x"]
