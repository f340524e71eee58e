"""Data sets: the named ones, and the user's own files and arrays."""

import os
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError, unknown
from tightbound.core.names import sources
from tightbound.data.arrays import load_arrays
from tightbound.data.check import check_values
from tightbound.data.dataset import Dataset
from tightbound.data.declared import Declarations
from tightbound.data.door import DataLike, as_array, as_table, as_values
from tightbound.data.files import Unsplit, load_items, load_own
from tightbound.data.filled import fill, write_filled
from tightbound.data.numbers import to_double
from tightbound.data.published.lookup import Published, fetch, find, folders
from tightbound.data.readers.torch_files import load_torch
from tightbound.data.schema import Column, Schema, check_amounts
from tightbound.data.sequences import ended
from tightbound.data.source import Source

__all__ = [
    "Column",
    "DataLike",
    "Declarations",
    "Dataset",
    "Entry",
    "Schema",
    "Source",
    "Unsplit",
    "as_array",
    "as_table",
    "as_values",
    "check_amounts",
    "check_values",
    "fill",
    "load",
    "load_arrays",
    "load_items",
    "load_torch",
    "names",
    "sequences",
    "write_filled",
]

_FOUND = [
    source
    for place in sources()
    for source in vars(place.load()).values()
    if isinstance(source, Published)
]
_SOURCES = {source.name: source for source in sorted(_FOUND, key=lambda source: bool(source.files))}
"""All named data sets, those without files first."""


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
    name: str | os.PathLike[str] | DataLike,
    *,
    split: str = "default",
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    verify: bool = True,
    scale: float | int | None = None,
    header: bool | None = None,
    lengths: Any = None,
    **columns: Unpack[Declarations],
) -> Dataset:
    """Loads a named data set, the user's own file or folder of images, or data in memory.

    The files of a named set are looked for in `$TIGHTBOUND_DATA/<name>/`, then in
    `<user's cache folder>/tightbound/<name>/`, and are else downloaded into the first of the two
    that is set. Own data are split 80/10/10 after a shuffle with a fixed seed, unless an .npz
    names train, validation and test; `rows` says where each item stood. Bytes (arrays of uint8,
    images) are divided by 255, tables by nothing. Tables may hold words: a level is its number, and
    `schema` says what the columns are. A table of numbers of which nothing is said comes as it is;
    of others, columns that name the rows or have one value alone are left out, and said in
    `schema.dropped` and `notes`. The index of a frame, and a first column
    without a name, name the rows and are no column. What was guessed or left out is in `notes`.

    Args:
        name: A name out of `names()`, a file (.npy, .npz, .csv, .tsv, .data, .txt, .parquet,
            .json), a folder of images, or data: an array of shape (n, d) or (n, *item), a nested
            list, a list of sequences of different lengths, or a frame of pandas or polars.
            Sequences (of lists, or in .json) are padded with NaN to the longest.
        split: The name of a split that the data set offers.
        path: The folder of a named set's files, or one of them; then nothing is downloaded.
        download: Whether files that are not on this machine are downloaded.
        verify: Whether files must have the published checksums; if not, the data set's own is
            "unverified".
        scale: What own data are divided by, if not by what their type says.
        header: Whether the first line of a text table names its columns; it is asked for where the
            file does not tell.
        lengths: Of sequences in memory of shape (n, steps, d), how many steps each has: what stands
            behind them is taken for padding.
        **columns: What the columns of a table are, where it is not as `tb.data.inferred` guesses:
            names under `real`, `positive`, `count`, `category`, `binary`, `ordinal` (or levels in
            their order by name) and `bounded` (within [0, 1], or limits by name); `drop` leaves
            columns out, `label` sets one apart, whose levels' numbers become `labels`; or `schema`
            alone, a `Schema` or the path of its TOML file, which says it all.

    Raises:
        UsageError: An unknown name or split, files that are missing, damaged or others than
            published, or values that are no table of finite numbers.
    """
    if lengths is not None:
        if isinstance(name, str | os.PathLike):
            raise UsageError(f"lengths= are for sequences in memory, got them with {name}")
        name = sequences(name, lengths=lengths)
    said = [word for word, value in columns.items() if value not in (None, (), [], {}, "")]
    source = _SOURCES.get(name) if isinstance(name, str) else None
    offered = tuple(dict.fromkeys(("default", *(source.splits if source else ()))))
    if split not in offered:
        of = f" of {source.name}" if source else ", where data are your own,"
        raise unknown(f"split{of}", split, offered)
    if source is not None:
        if scale is not None or header is not None:
            raise UsageError(f"scale= and header= are for your own data, got them with {name}")
        if said:
            raise UsageError(f"{said[0]}= is for tables of your own, got it with {name}")
        if path is not None and not source.files:
            raise UsageError(f"{source.name} is embedded and has no files; leave path out")
        files = fetch(source, path=path, download=download, verify=verify)
        return source.read(source.splits[0] if split == "default" else split, files)
    if path is not None:
        raise UsageError(f"expected path= with a named data set only, got path={path}")
    if isinstance(name, str) and not (Path(name).suffix or os.sep in name or _exists(name)):
        near = unknown("the data set", name, _SOURCES)
        raise UsageError(f"{near} (there is no file or folder of this name)")
    return load_own(name, scale=scale, header=header, columns=columns)


def sequences(x: DataLike, *, lengths: Any = None) -> Float[np.ndarray, "n steps d"]:
    """Sequences as one array, NaN behind the end of each: as all that takes data takes them.

    Args:
        x: A list of sequences of shape (their steps, d), or an array (n, steps, d).
        lengths: How many steps each sequence of an array has; what stands behind them is padding.

    Raises:
        UsageError: Another shape, what is no finite number (sequence, step and column are named),
            or a length that is no whole number from 1 to the steps.
    """
    found = as_array(x, "the sequences").x
    if found.ndim != 3:
        raise UsageError(
            f"the sequences: expected a list of arrays (steps, d), or shape (n, steps, d), got "
            f"{found.shape}"
        )
    found = found if found.dtype.kind == "f" else to_double(found, "the sequences")
    check_values(found, "real", "the sequences", holes=True, sequences=True)
    return found if lengths is None else ended(found, lengths, "the sequences")


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long, or with a zero
        return False


def _where(source: Published) -> str:
    if not source.files:
        return "embedded"
    found = [find(file, folders(source.name)) for file in source.files]
    paths = [path for path in found if path is not None]
    if len(paths) < len(found):
        return "not on this machine"
    return str(paths[0] if len(paths) == 1 else paths[0].parent)
