"""Named arrays in files: .safetensors and .npz are read, .npz is written."""

import io
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from tightbound.data.files import load_numpy
from tightbound.errors import UsageError
from tightbound.files import write_atomic

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
        UsageError: No such file, another format (.pt and .pth files are pickles), a truncated or
            damaged file, one without arrays, or an array that holds no numbers.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    reader = {".safetensors": _safetensors, ".npz": _npz}.get(path.suffix.lower())
    if reader is None or path.is_dir():
        raise UsageError(
            f"{path}: expected a file .safetensors or .npz; pickles, as which PyTorch saves .pt "
            "and .pth, are not read: write safetensors.torch.save_file(model.state_dict(), path)"
        )
    try:
        arrays = reader(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    if not arrays:
        raise UsageError(f"{path}: expected named arrays, got a file without any")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise UsageError(
                f"{path}: expected arrays of real numbers, got {name!r} of type {array.dtype}"
            )
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }


def _npz(path: Path) -> Arrays:
    arrays = load_numpy(path)
    if isinstance(arrays, np.ndarray):
        raise UsageError(f"{path}: expected an archive of named arrays, got one array")
    return arrays


def _safetensors(path: Path) -> Arrays:
    try:
        tensors = deserialize(path.read_bytes())
    except SafetensorError as error:
        raise UsageError(f"{path} is not a whole safetensors file: {error}") from None
    arrays = {}
    for name, tensor in tensors:
        kind = tensor["dtype"]
        if kind not in _TYPES:
            raise UsageError(
                f"{path}: {name!r} is of type {kind}, expected one of {', '.join(_TYPES)}; convert "
                "it to float32 first"
            )
        array = np.frombuffer(tensor["data"], _TYPES[kind])
        if kind == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = array.reshape(tensor["shape"]).copy()  # which can be written to
    return arrays
