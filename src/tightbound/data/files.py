"""The user's own data, from memory or from files: a data set in three parts, or items to score."""

import os
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
from jaxtyping import Float32, Int32

from tightbound.core.errors import UsageError
from tightbound.data.check import check_table, check_values
from tightbound.data.coded import coded
from tightbound.data.dataset import Dataset
from tightbound.data.declared import Declarations, Declared, declared
from tightbound.data.door import DataLike, Values, as_array, as_frame
from tightbound.data.precision import rounded
from tightbound.data.published.file import sha256
from tightbound.data.readers import Contents, read, shown
from tightbound.data.schema import Schema
from tightbound.data.splits import PARTS, SEED, in_three, sizes_in_words, tenths


class Unsplit(NamedTuple):
    """Items as they come, one flattened item a row: row i is row i of the source.

    Attributes:
        name: The file's name, or "array".
        x: The values, as a data set holds them.
        shape: Shape of one item before flattening.
        columns: Names of the columns of a table.
        row_names: Names of the rows, such as a frame's index or the files of images.
        checksum: SHA-256, as of a data set.
        notes: All that was guessed, converted or left out.
        scale: What the source's numbers were divided by.
        schema: What the columns of a table are; None for images and arrays.
        labels: The label of each row, from 0, and -1 where it is missing; None without that column.
    """

    name: str
    x: Float32[np.ndarray, "n d"]
    shape: tuple[int, ...]
    columns: tuple[str, ...]
    row_names: tuple[str, ...]
    checksum: str
    notes: tuple[str, ...]
    scale: float
    schema: Schema | None = None
    labels: Int32[np.ndarray, " n"] | None = None


def load_items(
    source: DataLike | str | os.PathLike[str],
    *,
    scale: float | int | None = None,
    header: bool | None = None,
    **columns: Unpack[Declarations],
) -> Unsplit:
    """Loads data to be scored, reconstructed or compared: all rows, in their order, at least one.

    Args:
        source: A file or a folder of images, as for `load`, or data in memory.
        scale: As for `load`. For data that a fitted model is to see, pass the `scale` of the data
            set that it was fitted to.
        header: As for `load`.
        **columns: What a table's columns are, as for `load`. For data that a fitted model is to
            see, pass the `schema` of the data set that it was fitted to.

    Raises:
        UsageError: As for `load`; or an archive that names training, validation and test parts.
    """
    what, contents = _contents(source, header=header, said=declared(columns))
    if "x" not in contents.parts:
        raise UsageError(
            f"{what}: expected the items alone, got the parts {', '.join(contents.parts)}; save "
            "one of them as an array"
        )
    values, (x,), divisor, note = _scaled(contents, what, scale)
    return Unsplit(
        _name(source),
        x,
        values.x.shape[1:],
        values.columns,
        values.rows,
        contents.checksum,
        (*values.notes, *note, *_missing([x])),
        divisor,
        values.schema,
        values.labels,
    )


def load_own(
    source: DataLike | os.PathLike[str],
    *,
    scale: float | int | None,
    header: bool | None,
    columns: Declarations,
) -> Dataset:
    """Makes a data set out of a file, a folder of images, or data in memory.

    Raises:
        UsageError: No such file, an unknown format, or contents that are no table of numbers.
    """
    what, contents = _contents(source, header=header, said=declared(columns))
    values, parts, divisor, note = _scaled(contents, what, scale)
    units = _units(parts)
    if len(parts) == 1:
        rows, split = _split(len(parts[0]), what)
        parts = [parts[0][indices] for indices in rows]
    else:
        rows = [np.arange(len(part)) for part in parts]
        split = f"default: as named in the file, {sizes_in_words(parts)}"
    train, validation, test = parts
    labels = (
        {}
        if values.labels is None
        else {part: values.labels[indices] for part, indices in zip(PARTS, rows, strict=True)}
    )
    return Dataset(
        name=_name(source),
        train=train,
        validation=validation,
        test=test,
        shape=values.x.shape[1:],
        units=units,
        split=split,
        checksum=contents.checksum,
        labels=labels,
        notes=(*values.notes, *note, *_missing(parts)),
        rows=dict(zip(PARTS, rows, strict=True)),
        row_names=values.rows,
        columns=values.columns,
        scale=divisor,
        schema=values.schema,
    )


def _name(source: Any) -> str:
    return shown(Path(source).name) if isinstance(source, str | os.PathLike) else "array"


def _contents(source: Any, *, header: bool | None, said: Declared) -> tuple[str, Contents]:
    """What to call the data, and the data."""
    if isinstance(source, str | os.PathLike):
        return shown(os.fspath(source)), read(Path(source), header=header, said=said)
    if header is not None:
        raise UsageError("header= is for tables in text files, got data in memory")
    table = as_frame(source, "array")
    if table is None and said:
        raise UsageError(
            f"what columns are can be said of tables and frames, got {type(source).__name__}: "
            "give its columns names, for example as a DataFrame"
        )
    values = as_array(source, "array") if table is None else coded(table, said)
    digest = sha256(np.ascontiguousarray(values.x).tobytes())
    return "array", Contents({"x": values}, digest)


def _scaled(
    contents: Contents, what: str, scale: float | int | None
) -> tuple[Values, list[np.ndarray], float, tuple[str, ...]]:
    """The first part, all parts as flattened and scaled items, the divisor, and a note on it."""
    named = len(contents.parts) > 1
    names = {part: f"{what}[{part}]" if named else what for part in contents.parts}
    found = {part: values._replace(x=as_array(values.x, names[part]).x)
             for part, values in contents.parts.items()}  # fmt: skip
    first = next(iter(found.values()))
    _check_alike(found, what)
    rows = [_rows(values, names[part]) for part, values in found.items()]
    if scale not in (None, 1) and first.schema is not None and not first.schema.plain:
        raise UsageError("scale= divides all numbers alike, got it with columns of other kinds")
    divisor = _divisor(list(found.values()), what, scale)
    if divisor == 1:
        return first, rows, 1.0, ()
    origin = "bytes" if first.x.dtype == np.uint8 else "the source's"
    note = (f"values are {origin} / {divisor:g}",)
    return first, [part / np.float32(divisor) for part in rows], divisor, note


def _check_alike(parts: dict[str, Values], what: str) -> None:
    if len({values.x.shape[1:] for values in parts.values()}) > 1:
        shapes = ", ".join(f"{part} {values.x.shape}" for part, values in parts.items())
        raise UsageError(f"{what}: expected items of one shape in all parts, got {shapes}")
    if len({values.x.dtype == np.uint8 for values in parts.values()}) > 1:
        types = ", ".join(f"{part} {values.x.dtype}" for part, values in parts.items())
        raise UsageError(f"{what}: expected bytes in all parts or in none, got {types}")


def _divisor(parts: list[Values], what: str, scale: float | int | None) -> float:
    """What numbers are divided by: 255 for bytes, whatever values are among them, else 1."""
    if scale is not None:
        if not np.isfinite(scale) or scale <= 0:
            raise UsageError(f"expected scale, a divisor, to be a positive number, got {scale}")
        return float(scale)
    if parts[0].full_scale is not None:
        return parts[0].full_scale
    if parts[0].x.dtype != np.uint8:
        return 1.0
    if max(int(values.x.max()) for values in parts) == 1:
        raise UsageError(
            f"{what}: expected bytes from 0 to 255, got 0 and 1 alone: either binary values or "
            "nearly black; say which, --scale 1 or --scale 255 (in Python scale=), or save them as "
            "booleans"
        )
    return 255.0


def _rows(values: Values, what: str) -> np.ndarray:
    """One flattened item a row, in single precision."""
    x = values.x
    if x.ndim > 2 and x.size:
        x = x.reshape(len(x), -1)
    check_table(x, what)
    x = rounded(x, np.float32, what, values.columns)
    check_values(x, "real", what, values.columns, holes=True)
    return x


def _split(n: int, what: str) -> tuple[list[np.ndarray], str]:
    if n < 10:
        raise UsageError(
            f"{what}: expected at least 10 items for an 80/10/10 split, got {n}; for parts of "
            "your own save an .npz with train, validation and test; for data to be scored use "
            "tightbound.data.load_items"
        )
    indices = in_three(n, tenths(n), seed=SEED)
    return indices, f"default: shuffled once (seed {SEED}), 80/10/10, {sizes_in_words(indices)}"


def _missing(parts: list[np.ndarray]) -> tuple[str, ...]:
    """A note on values that are missing, if any are."""
    missing = sum(int(np.isnan(part).sum()) for part in parts)
    total = sum(part.size for part in parts)
    return (f"{missing:,} of {total:,} values are missing",) if missing else ()


def _units(parts: list[np.ndarray]) -> str:
    known = [part[~np.isnan(part)] for part in parts]
    if all(np.all((part == 0) | (part == 1)) for part in known):
        return "binary"
    inside = all(np.all((part >= 0) & (part <= 1)) for part in known)
    return "grey" if inside else "real"
