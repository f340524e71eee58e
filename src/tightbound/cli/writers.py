"""Rows into a file whose suffix names the format, a chunk at a time, whole or not at all."""

import contextlib
import csv
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic

if TYPE_CHECKING:
    from tightbound.runs.folder import ItemsOf

MOST_PICTURES = 10_000
BORDER = 1
"""Pixels between the pictures of a grid."""
Rows = Iterator[Any]
"""Chunks of shape (rows, d), or of items of another shape, float32."""


def write_rows(path: Path, chunks: Rows, *, n: int, items: "ItemsOf") -> None:
    """Writes n rows beside the target and renames them into place.

    Args:
        path: The file; its suffix is one of `FORMATS`.
        chunks: The rows, in chunks; none is asked for before all checks have passed.
        n: How many rows they hold together.
        items: What one item is: its shape, for pictures, and the names of its columns, x0, x1 and
            so on where there are none.

    Raises:
        UsageError: The disk has no room for them, or the format cannot hold them.
    """
    write = FORMATS[path.suffix.lower()]
    width = 1
    for size in items.shape:
        width *= size
    _check_room(path, n * width * SMALLEST[path.suffix.lower()])
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as handle:
            write(handle, (chunk.reshape(len(chunk), -1) for chunk in chunks), n, items)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Writes named columns of one length as .csv, whole or not at all.

    Numbers are the shortest text that is the same number again; text is quoted where it must be.

    Raises:
        UsageError: The operating system refuses.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_atomic(path, text.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes named arrays as .npz, whole or not at all.

    Raises:
        UsageError: The operating system refuses.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue())


def _check_room(path: Path, needed: int | float) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UsageError(
            f"{path} would take {needed / 1e9:.1f} GB or more, and {free / 1e9:.1f} GB are free "
            "there: ask for fewer, or write elsewhere"
        )


def _npy(handle: BufferedIOBase, chunks: Rows, n: int, items: "ItemsOf") -> None:
    from numpy.lib import format as npy

    first = next(chunks)
    described = {"descr": npy.dtype_to_descr(first.dtype), "fortran_order": False}
    npy.write_array_header_1_0(handle, described | {"shape": (n, first.shape[1])})
    handle.write(first.tobytes())
    for chunk in chunks:
        handle.write(chunk.tobytes())


def _npz(handle: BufferedIOBase, chunks: Rows, n: int, items: "ItemsOf") -> None:
    with (
        zipfile.ZipFile(cast("IO[bytes]", handle), "w") as archive,
        archive.open("rows.npy", "w", force_zip64=True) as member,
    ):
        _npy(cast("BufferedIOBase", member), chunks, n, items)


def _csv(handle: BufferedIOBase, chunks: Rows, n: int, items: "ItemsOf") -> None:
    for number, chunk in enumerate(chunks):
        if number == 0:
            csv.writer(text := io.StringIO(), lineterminator="\n").writerow(_columns(chunk, items))
            handle.write(text.getvalue().encode())
        # The shortest text that is the same float32 again, and levels as words.
        cells = chunk.astype("U32").tolist()
        for place, words in _words(chunk, items).items():
            for row, word in zip(cells, words, strict=True):
                row[place] = word
        csv.writer(text := io.StringIO(), lineterminator="\n").writerows(cells)
        handle.write(text.getvalue().encode())


def _parquet(handle: BufferedIOBase, chunks: Rows, n: int, items: "ItemsOf") -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "writing .parquet needs pyarrow: pip install 'tightbound[parquet]'"
        ) from error
    with contextlib.ExitStack() as stack:
        writer = None
        for chunk in chunks:
            columns = [*chunk.T]
            for place, words in _words(chunk, items).items():
                columns[place] = words
            table = pa.table(dict(zip(_columns(chunk, items), columns, strict=True)))
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(handle, table.schema))
            writer.write_table(table)


def _png(handle: BufferedIOBase, chunks: Rows, n: int, items: "ItemsOf") -> None:
    import numpy as np
    from PIL import Image

    shape = items.shape
    if len(shape) != 2:
        raise UsageError(f"expected pictures for .png, got items of shape {shape}: write .csv")
    if n > MOST_PICTURES:
        raise UsageError(f"a .png holds at most {MOST_PICTURES} pictures, got {n}: write .npy")
    columns = int(np.ceil(np.sqrt(n)))
    height, width = (size + BORDER for size in shape)
    sheet = np.zeros((-(-n // columns) * height + BORDER, columns * width + BORDER), np.uint8)
    for number, item in enumerate(row for chunk in chunks for row in chunk):
        top = number // columns * height + BORDER
        left = number % columns * width + BORDER
        # Behind the end of a sequence there is nothing, which is black.
        grey = np.clip(np.nan_to_num(item.reshape(shape)), 0, 1) * 255
        sheet[top : top + shape[0], left : left + shape[1]] = np.rint(grey)
    Image.fromarray(sheet).save(cast("IO[bytes]", handle), format="PNG")


def _words(chunk: Any, items: "ItemsOf") -> dict[int, list[str]]:
    """The levels of a chunk's rows in words, by the place of the column."""
    return {
        place: [levels[int(number)] for number in chunk[:, place]]
        for place, levels in items.levels.items()
    }


def _columns(chunk: Any, items: "ItemsOf") -> list[str]:
    return list(items.columns) or [f"x{column}" for column in range(chunk.shape[1])]


FORMATS: dict[str, Callable[[BufferedIOBase, Rows, int, "ItemsOf"], None]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
    ".png": _png,
}
"""What writes each format."""
SMALLEST = {".npy": 4, ".npz": 4, ".csv": 2, ".parquet": 0.01, ".png": 0.001}
"""Bytes that a value takes at the very least."""
