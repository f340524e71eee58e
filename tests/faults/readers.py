"""Damaged and hostile files for every reader: each ends in a `UsageError` or in values it held.

Formats with checksums (.npz, PNG) must give the right values or be refused; the others cannot tell
a flipped bit in a number, and must give as many finite numbers as the file has room for.
"""

import io
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tightbound import data
from tightbound.errors import UsageError

X = np.random.RandomState(0).normal(size=(12, 3)).astype(np.float32)
PIXELS = np.random.RandomState(1).randint(0, 256, size=(9, 7, 3)).astype(np.uint8)
MOST = 2
"""Numbers for each byte, of which no damaged copy may give more."""


class Result(NamedTuple):
    """What became of one damaged file: its class, whether it survived, and how it ended."""

    kind: str
    survived: bool
    how: str


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
    found = [
        Format("a.npy", _saved(lambda b: np.save(b, X)), X, False),
        Format("f.npy", _saved(lambda b: np.save(b, np.asfortranarray(X))), X, False),
        Format("a.npz", _packed(zipfile.ZIP_STORED), X, True),
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


def damaged(content: bytes, rng: np.random.RandomState) -> tuple[str, bytes]:
    """A copy with one kind of damage, and the kind."""
    at = rng.randint(len(content))
    if rng.randint(2):  # headers and directories stand at the ends
        at = rng.choice([rng.randint(min(128, len(content))), -1 - rng.randint(min(200, at + 1))])
        at %= len(content)
    kind = rng.choice(["bit", "byte", "cut", "hole", "insert", "zeros", "twice"])
    broken = bytearray(content)
    if kind == "bit":
        broken[at] ^= 1 << rng.randint(8)
    elif kind == "byte":
        broken[at] = rng.choice([0, 255, 127, 128, rng.randint(256)])
    elif kind == "cut":
        del broken[at:]
    elif kind == "hole":
        del broken[at : at + 1 + rng.randint(16)]
    elif kind == "insert":
        broken[at:at] = rng.bytes(1 + rng.randint(16))
    elif kind == "zeros":
        size = min(1 + rng.randint(64), len(content) - at)
        broken[at : at + size] = bytes(size)
    else:
        broken += content
    return str(kind), bytes(broken)


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
    return few and bool(np.isfinite(found.x).all()), "read"


def results(n: int, seed: int = 0) -> Iterator[Result]:
    """Reads n damaged copies of a file of each format.

    Yields:
        The class ("readers, a.npz, cut"), whether it ended well, and how.
    """
    rng = np.random.RandomState(seed)
    with tempfile.TemporaryDirectory() as folder:
        for expected in formats():
            path = Path(folder) / expected.name
            path.parent.mkdir(exist_ok=True)
            for _ in range(n):
                kind, content = damaged(expected.content, rng)
                path.write_bytes(content)
                survived, how = outcome(path, expected)
                yield Result(f"readers, {expected.name}, {kind}", survived, how)
            path.unlink()


if __name__ == "__main__":
    import sys

    total, lost = 0, []
    for result in results(int(sys.argv[1]) if len(sys.argv) > 1 else 300):
        total += 1
        if not result.survived:
            lost.append(result)
    for result in lost[:40]:
        print(f"{result.kind}: {result.how[:300]}")
    print(f"{total - len(lost)} of {total} ended in the right values or in words")
