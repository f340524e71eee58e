"""Arrays in NumPy's format, .npy and .npz: nothing is unpickled, nor allocated on a file's word.

Every size that a header announces is compared with the bytes there are before it is believed. The
members of an archive are read to their end, so that their CRC-32 is compared.
"""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from numpy.lib import format as npy

from tightbound.core.errors import UsageError
from tightbound.data.readers.raw import read_whole, shown

_MAGIC = b"\x93NUMPY"
_LARGE = 2**30  # bytes unpacked from which an archive's sizes must be plausible
MANY = 2**16 - 1  # stands for more members than can be announced
_RATIO = 200  # of unpacked to packed bytes; numbers that say something compress less


def load_numpy(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """Reads one array, or those of an archive by name, whatever the file is called.

    Raises:
        UsageError: No ordinary file, damaged data, arrays of objects or records, or sizes that the
            file cannot hold.
    """
    return parse_numpy(read_whole(path), shown(path))


def parse_numpy(content: bytes, what: str) -> np.ndarray | dict[str, np.ndarray]:
    """As `load_numpy`, from the bytes of a file; `what` it is, for errors."""
    try:
        if content.startswith(_MAGIC):
            return _array(content, what)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _members(archive, content, what)
    except UsageError:
        raise
    except Exception as error:  # damaged files make the parsers raise nearly everything
        raise _damaged(what, type(error).__name__) from None


def _members(archive: zipfile.ZipFile, packed: bytes, what: str) -> dict[str, np.ndarray]:
    infos, size = archive.infolist(), len(packed)
    if (there := announced(packed)) not in (len(infos), MANY):
        raise _damaged(what, f"announced {there} arrays, {len(infos)} there")
    total = sum(info.file_size for info in infos)
    if total > max(_LARGE, _RATIO * size):
        raise UsageError(
            f"{what}: expected an archive that unpacks to at most {_RATIO} times its size, got "
            f"{size:,} bytes that announce {total:,}; save its arrays uncompressed"
        )
    arrays: dict[str, np.ndarray] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        member = f"{what}: {name[:80]!r}"
        content = archive.read(info)
        if not content.startswith(_MAGIC):
            raise UsageError(f"{member}: expected an array in NumPy's format, got other data")
        if name in arrays:
            raise UsageError(f"{member}: expected arrays of different names, got this one twice")
        arrays[name] = _array(content, member)
    return arrays


def announced(packed: bytes) -> int:
    """How many members the end of an archive announces.

    A damaged length in the directory hides the members behind it, which zipfile passes over.
    """
    end = packed.rfind(b"PK\5\6")
    return int.from_bytes(packed[end + 10 : end + 12], "little")


def _array(content: bytes, what: str) -> Shaped[np.ndarray, "*s"]:
    """The array of a whole .npy file; read-only, without a copy."""
    handle = io.BytesIO(content)
    version = npy.read_magic(handle)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:  # (3, 0) is for records with names beyond Latin letters
        raise _damaged(what, f"of version {version[0]}.{version[1]}, or records")
    shape, by_columns, dtype = readers[version](handle)
    if dtype.hasobject:
        raise UsageError(
            f"{what}: expected arrays of numbers in NumPy's format, got data that are of objects "
            "(type object), which would have to be unpickled"
        )
    if dtype.names is not None or dtype.subdtype is not None:
        kind = shown(str(dtype))[:80]
        raise UsageError(f"{what}: expected arrays of numbers in NumPy's format, got {kind}")
    sizes_given = all(type(size) is int and size >= 0 for size in shape)
    announced = math.prod(shape) * dtype.itemsize
    there = len(content) - handle.tell()
    if not sizes_given or announced != there or dtype.itemsize == 0:
        raise _damaged(what, f"announced {announced:,} bytes in shape {shape}, {there:,} there")
    array = np.frombuffer(content, dtype, offset=handle.tell())
    return array.reshape(shape, order="F" if by_columns else "C")


def _damaged(what: str, how: str) -> UsageError:
    return UsageError(
        f"{what}: expected arrays of numbers in NumPy's format, got data that are damaged "
        f"({shown(how)[:160]})"
    )
