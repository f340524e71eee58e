"""Arrays out of MATLAB 5 files."""

import io
from collections.abc import Mapping

import numpy as np

from tightbound.core.errors import UsageError


def read_matlab(
    content: bytes,
    shapes: Mapping[str, tuple[int, ...]],
    where: str,
    optional: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """Reads numeric arrays, and nothing else of the file.

    Args:
        content: The file's bytes.
        shapes: The keys that must be there, with their shapes; -1 fits every size.
        where: The file, for the error.
        optional: Keys that may be missing.

    Raises:
        UsageError: No MATLAB 5 file, a key is missing, or it holds no numbers of that shape.
    """
    import scipy.io

    try:
        found = scipy.io.loadmat(io.BytesIO(content), variable_names=[*shapes, *optional])
    except Exception as error:  # damaged files make the reader raise nearly everything
        raise UsageError(f"{where}: expected a MATLAB 5 file, got damaged data ({error})") from None
    arrays = {key: found[key] for key in (*shapes, *optional) if key in found}
    for key, shape in shapes.items():
        if key not in arrays:
            raise UsageError(f"{where}: expected the keys {', '.join(shapes)}; {key} is missing")
        got = arrays[key].shape
        fits = len(got) == len(shape) and all(
            a in (-1, b) and b > 0 for a, b in zip(shape, got, strict=True)
        )
        if not fits or arrays[key].dtype.kind not in "biuf":
            raise UsageError(
                f"{where}: expected numbers of shape {shape} under {key} (-1: any), "
                f"got {arrays[key].dtype} of shape {got}"
            )
    return arrays


def upright(columns: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images (n, height * width) whose pixels run down the columns, made row-major and upright."""
    images = columns.reshape((-1, height, width), order="F")
    return images.reshape(len(images), -1)
