"""A folder of images: grey, all of one size, in the order of their names."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from tightbound.data.published import sha256
from tightbound.errors import UsageError

_SUFFIXES = (".png", ".jpg", ".jpeg")
_DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # more than 8 bits a pixel


def has_images(folder: Path) -> bool:
    """Whether a folder holds at least one image."""
    return bool(_images(folder))


def read_images(folder: Path) -> tuple[UInt8[np.ndarray, "n height width"], str]:
    """All images of a folder as grey bytes, and SHA-256 over the checksums of the files.

    Raises:
        UsageError: An image is damaged, of more than 8 bits, or of another size than the first.
    """
    from PIL import Image

    grey, checksums = [], ""
    paths = _images(folder)
    for path in paths:
        data = path.read_bytes()
        checksums += sha256(data)
        try:
            with Image.open(io.BytesIO(data)) as image:
                mode, pixels = image.mode, np.asarray(image.convert("L"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise UsageError(f"{path}: expected an image, got damaged data") from None
        if mode in _DEEP:
            raise UsageError(f"{path}: expected 8 bits a channel, got mode {mode}")
        if grey and pixels.shape != grey[0].shape:
            raise UsageError(
                f"{path}: expected all images of one size, {_size(grey[0])} as the first "
                f"({paths[0].name}), got {_size(pixels)} (width x height)"
            )
        grey.append(pixels)
    return np.stack(grey), sha256(checksums.encode())


def _images(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir(), key=lambda path: path.name)
    return [p for p in paths if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")]


def _size(pixels: np.ndarray) -> str:
    height, width = pixels.shape
    return f"{width}x{height}"
