"""Named arrays in files: .safetensors and .npz are read, .npz is written."""

import io
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.data.readers.numpy_files import parse_numpy
from tightbound.data.readers.raw import first_line, read_whole, shown

Arrays = dict[str, np.ndarray]
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32, of which NumPy knows nothing
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
    "BOOL": "?",
}
"""Of the names in safetensors files, those that can be read."""


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Writes a .npz file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomic(path, buffer.getvalue())


def load_arrays(path: str | os.PathLike[str]) -> Arrays:
    """Reads all arrays of a .safetensors or .npz file by name; nothing is ever unpickled.

    float16 and bfloat16 become float32, which changes no value; all other types stay.

    Args:
        path: The file. PyTorch writes one by `safetensors.torch.save_file(m.state_dict(), path)`.

    Raises:
        UsageError: No such file, another format (.pt and .pth: `load_torch`), a truncated or
            damaged file, one without arrays, or an array that holds no numbers.
    """
    path = Path(path)
    what = shown(path)
    parse = {".safetensors": _safetensors, ".npz": _npz}.get(path.suffix.lower())
    if path.exists() and (parse is None or path.is_dir()):
        raise UsageError(
            f"{what}: expected a file .safetensors or .npz; those of torch.save (.pt, .pth) are "
            "read by tb.data.load_torch"
        )
    content = read_whole(path)
    arrays = parse(content, what) if parse else {}
    if not arrays:
        raise UsageError(f"{what}: expected named arrays, got a file without any")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise UsageError(
                f"{what}: expected arrays of real numbers, got {name!r} of type {array.dtype}"
            )
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }


def _npz(content: bytes, what: str) -> Arrays:
    arrays = parse_numpy(content, what)
    if isinstance(arrays, np.ndarray):
        raise UsageError(f"{what}: expected an archive of named arrays, got one array")
    return {name: array.copy() for name, array in arrays.items()}  # which can be written to


def _safetensors(content: bytes, what: str) -> Arrays:
    try:
        tensors = deserialize(content)
    except SafetensorError as error:
        raise UsageError(f"{what} is not a whole safetensors file: {first_line(error)}") from None
    arrays = {}
    for name, tensor in tensors:
        kind = tensor["dtype"]
        if kind not in _TYPES:
            raise UsageError(
                f"{what}: {name!r} is of type {kind}, expected one of {', '.join(_TYPES)}; convert "
                "it to float32 first"
            )
        array = np.frombuffer(tensor["data"], _TYPES[kind])
        if kind == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = array.reshape(tensor["shape"]).copy()  # which can be written to
    return arrays
