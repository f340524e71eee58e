"""Files of PyTorch, .pt and .pth: an archive (since 1.6) or pickles and storages in a row (before).

Reference: PyTorch 2.15, torch/serialization.py (`_save`, `_legacy_save`).
"""

import io
import os
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from tightbound.core.errors import UsageError
from tightbound.data.readers.numpy_files import MANY, announced
from tightbound.data.readers.pickled import Pickled
from tightbound.data.readers.raw import read_whole, shown
from tightbound.data.readers.torch_tensors import ALLOWED, Tensors

_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""A pickle of the number by which PyTorch knows its own files."""
_PROTOCOL = 1001
_NEWEST = 10  # version of the archive's format
_TAR = slice(257, 262)
_ORDERS = {"little": "<", "big": ">"}


def load_torch(path: str | os.PathLike[str]) -> Any:
    """Reads what `torch.save` wrote, without PyTorch and without running anything.

    Tensors become arrays of their own, float16 and bfloat16 in float32, which changes no value;
    all other types stay. Around them are plain dictionaries (of an `OrderedDict` too), lists,
    tuples, numbers, texts, truth values and None, as they were: a state dict is a dictionary of
    arrays by name, which `tb.networks.mlp_from_state_dict` takes.

    Args:
        path: The file, .pt, .pth or of any other name, of PyTorch 0.2 or later.

    Raises:
        UsageError: No such file, another format, a truncated or damaged file, tensors of types
            that NumPy does not know (float8, quantized), or anything else in it, such as a whole
            module, an object of NumPy or a class, which would have to be unpickled: it is named.
    """
    return parse_torch(read_whole(Path(path)), shown(os.fspath(path)))


def parse_torch(content: bytes, what: str) -> Any:
    """As `load_torch`, from the bytes of a file; `what` it is, for errors."""
    tensors = Tensors(what, len(content))
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return _archive(archive, content, what, tensors)
        if content.startswith(_LEGACY):
            return _in_a_row(content, what, tensors)
    except UsageError:
        raise
    except Exception as error:  # damaged files make the parsers raise nearly everything
        raise tensors.damaged(type(error).__name__) from None
    if content[_TAR] == b"ustar":
        raise UsageError(
            f"{what}: expected a checkpoint of PyTorch 0.2 or later, got the tar format before it; "
            "load it with PyTorch and save it again"
        )
    raise UsageError(
        f"{what}: expected a checkpoint as torch.save writes it, got "
        + ("a pickle of something else" if content.startswith(b"\x80") else "another format")
        + "; .safetensors and .npz are read by tb.data.load_arrays"
    )


def _archive(archive: zipfile.ZipFile, packed: bytes, what: str, tensors: Tensors) -> Any:
    names = archive.namelist()
    if (there := announced(packed)) not in (len(names), MANY):
        raise tensors.damaged(f"announced {there} members, {len(names)} there")
    if len(set(names)) < len(names):
        raise tensors.damaged("an archive with one name twice")
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UsageError(
            f"{what}: expected an archive as torch.save writes it, got one without a data.pkl; "
            ".npz are read by tb.data.load_arrays"
        )
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in names:
        raise UsageError(
            f"{what}: expected a state dict, got a program of TorchScript; save its state_dict()"
        )

    def member(name: str, size: int | None = None) -> bytes:
        """The bytes of a member, which are stored as they are: none unpacks to more than it has."""
        info = archive.getinfo(root + name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise tensors.damaged("an archive that is compressed")
        found = archive.read(info)
        if len(found) != (info.file_size if size is None else size):
            raise tensors.damaged(
                f"announced {size or info.file_size:,} bytes of {shown(name)[:80]}, "
                f"{len(found):,} there"
            )
        return found

    def note(name: str, default: str) -> str:
        return member(name).decode("ascii").strip() if root + name in names else default

    version, order = note("version", "1"), note("byteorder", "little")
    if not version.isdecimal() or int(version) > _NEWEST:
        raise tensors.damaged(f"of version {version}, which is not known")
    if order not in _ORDERS:
        raise tensors.damaged(f"of byte order {order}")
    pickled = _pickled(member("data.pkl"), what, tensors)
    found = pickled.read()
    if pickled.rest:
        raise tensors.damaged(f"{pickled.rest:,} bytes behind the end of a pickle")

    @cache
    def numbers(key: str) -> bytes:
        return member(f"data/{key}", tensors.storages[key].nbytes)

    return tensors.plain(found, numbers, _ORDERS[order])


def _in_a_row(content: bytes, what: str, tensors: Tensors) -> Any:
    """Magic number, protocol, system, the object, the keys of storages, and their numbers."""
    pickled = _pickled(content, what, tensors)
    _, protocol, system, found = (pickled.read() for _ in range(4))
    if protocol != _PROTOCOL:
        raise tensors.damaged(f"of protocol {protocol!r:.80}, expected {_PROTOCOL}")
    if type(system) is not dict or system.get("little_endian") is not True:
        raise UsageError(
            f"{what}: expected a checkpoint of a little-endian machine, got one of another; load "
            "it with PyTorch and save it again"
        )
    keys = pickled.read()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise tensors.damaged("the keys of storages are no texts")
    if len(set(keys)) < len(keys) or set(keys) != set(tensors.storages):
        raise tensors.damaged("the storages are others than those of the tensors")
    numbers: dict[str, bytes] = {}
    for key in keys:
        storage = tensors.storages[key]
        announced = pickled.number("<q")
        if announced != storage.whole:
            raise tensors.damaged(f"announced {announced:,} numbers, {storage.whole:,} expected")
        numbers[key] = pickled.take(storage.nbytes)
    if pickled.rest:
        raise tensors.damaged(f"{pickled.rest:,} bytes behind its end")
    return tensors.plain(found, numbers.__getitem__)


def _pickled(content: bytes, what: str, tensors: Tensors) -> Pickled:
    return Pickled(content, what, allowed=ALLOWED, call=tensors.call, persistent=tensors.persistent)
