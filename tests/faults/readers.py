"""Damaged and hostile files for every reader: each ends in a `UsageError` or in values it held.

Formats with checksums (.npz, PNG) must give the right values or be refused; the others cannot tell
a flipped bit in a number, and must give as many finite numbers as the file has room for.
"""

import contextlib
import io
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.faults.core import Attempt, Result
from tests.faults.damage import damaged
from tightbound import data
from tightbound.core.errors import UsageError

X = np.random.RandomState(0).normal(size=(12, 3)).astype(np.float32)
PIXELS = np.random.RandomState(1).randint(0, 256, size=(9, 7, 3)).astype(np.uint8)
MOST = 2
"""Numbers for each byte, of which no damaged copy may give more."""


class Format(NamedTuple):
    """A whole file, its name, its values, and whether it has checksums to tell damage by."""

    name: str
    content: bytes
    values: np.ndarray
    checked: bool


def _packed(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        with archive.open("x.npy", "w") as member:
            np.lib.format.write_array(member, X)
    return buffer.getvalue()


def _several() -> bytes:
    """The parts of a table by name."""
    return _saved(lambda buffer: np.savez(buffer, train=X[:8], validation=X[8:10], test=X[10:]))


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def _image(form: str, mode: str = "RGB") -> Format:
    image = Image.fromarray(PIXELS).convert(mode)
    content = _saved(lambda buffer: image.save(buffer, form))
    values = np.asarray(image, np.float32) / np.float32(255)
    return Format(f"folder/a.{form.lower()}", content, values.reshape(1, -1), form == "PNG")


def formats() -> list[Format]:
    """One whole file of each format."""
    text = "a,b,c\n" + "\n".join(",".join(f"{v:.9g}" for v in row) for row in X) + "\n"
    words = "a,c,b\n" + "\n".join(
        f"{row[0]:.9g},{'uvw'[i % 3]},{row[1]:.9g}" for i, row in enumerate(X)
    )
    coded = np.stack([X[:, 0], np.arange(len(X)) % 3, X[:, 1]], axis=1)
    found = [
        Format("words.csv", words.encode(), coded, False),
        Format("a.npy", _saved(lambda b: np.save(b, X)), X, False),
        Format("f.npy", _saved(lambda b: np.save(b, np.asfortranarray(X))), X, False),
        Format("a.npz", _packed(zipfile.ZIP_STORED), X, True),
        Format("several.npz", _several(), X, True),
        Format("deflate.npz", _packed(zipfile.ZIP_DEFLATED), X, True),
        Format("bzip2.npz", _packed(zipfile.ZIP_BZIP2), X, True),
        Format("lzma.npz", _packed(zipfile.ZIP_LZMA), X, True),
        Format("a.csv", text.encode(), X, False),
        Format("a.txt", text.replace(",", " ").encode(), X, False),
        _image("PNG"),
        _image("PNG", "L"),
        *map(_image, ("TIFF", "BMP", "GIF", "PPM", "TGA")),
    ]
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return found
    table = pyarrow.table({name: X[:, j] for j, name in enumerate("abc")})
    content = _saved(lambda b: pyarrow.parquet.write_table(table, b))
    return [*found, Format("a.parquet", content, X, False)]


def outcome(path: Path, expected: Format) -> tuple[bool, str]:
    """Reads a file that may be damaged: whether it ended well, and how."""
    source = path.parent if path.parent.name == "folder" else path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # none may reach the user
            found = data.load_items(source)
    except UsageError as error:
        return str(error).isprintable() and len(str(error)) < 1000, f"refused: {error}"
    except BaseException as error:  # what is counted here
        return False, f"{type(error).__name__}: {error}"
    if expected.checked:
        right = found.x.shape == expected.values.shape
        return right and np.array_equal(found.x, expected.values), "read, checked"
    few = found.x.size <= MOST * len(expected.content)
    # A damaged number may have become none, which is then said.
    said = any("are missing" in note for note in found.notes)
    right = not np.isinf(found.x).any() and said == np.isnan(found.x).any()
    return few and bool(right), "read"


@contextlib.contextmanager
def readers() -> Iterator[Attempt]:
    """Damages a file of each format in turn, and reads it."""
    with tempfile.TemporaryDirectory() as folder:
        whole = formats()

        def attempt(number: int, rng: np.random.Generator) -> Result:
            expected = whole[number % len(whole)]
            path = Path(folder) / expected.name
            path.parent.mkdir(exist_ok=True)
            kind, content = damaged(expected.content, rng)
            path.write_bytes(content)
            survived, how = outcome(path, expected)
            path.unlink()
            return Result(expected.name, survived, f"{kind}: {how}")

        yield attempt
