"""The user's own data: arrays, files and folders of images. Nothing is ever unpickled."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tightbound.data.check import check_table, check_values
from tightbound.data.dataset import Dataset
from tightbound.data.images import has_images, read_images
from tightbound.data.published import sha256
from tightbound.data.splits import PARTS, SEED, in_three, sizes_in_words, tenths
from tightbound.data.tables import read_csv, read_parquet
from tightbound.errors import UsageError

Arrays = dict[str, np.ndarray]  # train, validation and test; or one array under any key


def load_array(array: np.ndarray) -> Dataset:
    """Makes a data set out of an array (n, d) or (n, height, width)."""
    return _dataset("array", {"x": array}, "array", sha256(np.ascontiguousarray(array).tobytes()))


def load_file(path: Path) -> Dataset:
    """Makes a data set out of a file (.npy, .npz, .csv, .parquet) or a folder of images.

    Raises:
        UsageError: No such file, an unknown format, or contents that are no table of numbers.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    try:
        arrays, checksum = _read(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    return _dataset(path.name, arrays, str(path), checksum)


def _read(path: Path) -> tuple[Arrays, str]:
    if path.is_dir() and has_images(path):
        images, checksum = read_images(path)
        return {"x": images}, checksum
    reader = _READERS.get(path.suffix.lower())
    if path.is_dir() or reader is None:
        raise UsageError(
            f"{path}: expected a file {', '.join(_READERS)}, or a folder with .png or .jpg images"
        )
    with path.open("rb") as handle:
        checksum = hashlib.file_digest(handle, "sha256").hexdigest()
    return reader(path), checksum


def _dataset(name: str, arrays: Arrays, what: str, checksum: str) -> Dataset:
    named = set(PARTS) <= set(arrays)
    keys = PARTS if named else tuple(arrays)
    rows = [_rows(arrays[key], f"{what}[{key}]" if named else what) for key in keys]
    shape = arrays[keys[0]].shape[1:]
    if any(arrays[key].shape[1:] != shape for key in keys):
        shapes = ", ".join(f"{key} {arrays[key].shape}" for key in keys)
        raise UsageError(f"{what}: expected items of one shape in all parts, got {shapes}")
    if len({arrays[key].dtype == np.uint8 for key in keys}) == 2:
        types = ", ".join(f"{key} {arrays[key].dtype}" for key in keys)
        raise UsageError(f"{what}: expected bytes in all parts or in none, got {types}")
    bytes_scaled = arrays[keys[0]].dtype == np.uint8 and any((part > 1).any() for part in rows)
    if bytes_scaled:
        rows = [part / np.float32(255) for part in rows]
    if named:
        parts, split = rows, f"default: as named in the file, {sizes_in_words(rows)}"
    else:
        parts, split = _split(rows[0], what)
    train, validation, test = parts
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=test,
        shape=shape,
        units=_units(rows),
        split=split,
        checksum=checksum,
        notes="values are bytes / 255" if bytes_scaled else "",
    )


def _rows(array: np.ndarray, what: str) -> np.ndarray:
    """One flattened item a row, in single precision."""
    rows = array.reshape(len(array), -1) if array.ndim == 3 and array.size else array
    check_table(rows, what)
    with np.errstate(over="ignore"):  # becomes an infinity, which is refused with its place
        rows = np.ascontiguousarray(rows, dtype=np.float32)
    check_values(rows, "real", what)
    return rows


def _split(rows: np.ndarray, what: str) -> tuple[list[np.ndarray], str]:
    n = len(rows)
    if n < 10:
        raise UsageError(
            f"{what}: expected at least 10 items for an 80/10/10 split, got {n}; for parts of "
            "your own save an .npz with train, validation and test"
        )
    indices = in_three(n, tenths(n), seed=SEED)
    words = f"default: shuffled once (seed {SEED}), 80/10/10, {sizes_in_words(indices)}"
    return [rows[part] for part in indices], words


def _units(parts: list[np.ndarray]) -> str:
    if all(np.all((part == 0) | (part == 1)) for part in parts):
        return "binary"
    inside = all(part.min() >= 0 and part.max() <= 1 for part in parts)
    return "grey" if inside else "real"


def _read_npy(path: Path) -> Arrays:
    array = load_numpy(path)
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{path}: expected one array, got an archive; name it .npz")
    return {"x": array}


def _read_npz(path: Path) -> Arrays:
    arrays = load_numpy(path)
    if isinstance(arrays, np.ndarray):
        raise UsageError(f"{path}: expected an archive, got one array; name it .npy")
    if set(PARTS) <= set(arrays):
        return {part: arrays[part] for part in PARTS}
    if set(PARTS) & set(arrays) or ("x" not in arrays and len(arrays) != 1):
        raise UsageError(
            f"{path}: expected the keys {', '.join(PARTS)}, or one array, or x; "
            f"got {', '.join(arrays) or 'nothing'}"
        )
    return {"x": arrays.get("x", next(iter(arrays.values())))}


def load_numpy(path: Path) -> np.ndarray | Arrays:
    """Reads a file in NumPy's format: one array, or those of an archive by name.

    Raises:
        UsageError: Damaged data, or arrays of objects.
    """
    try:
        with path.open("rb") as handle:
            loaded = np.load(handle, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return {key: loaded[key] for key in loaded.files}
    # RuntimeError: what a damaged archive calls encrypted, or of an unknown version.
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = "of objects (type object)" if "Object arrays" in str(error) else "damaged"
        raise UsageError(
            f"{path}: expected arrays of numbers in NumPy's format, got data that are {reason}"
        ) from None


_READERS: dict[str, Callable[[Path], Arrays]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": lambda path: {"x": read_csv(path)},
    ".parquet": lambda path: {"x": read_parquet(path)},
}
