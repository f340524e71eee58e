"""A folder of images, all of one size, in the natural order of their names.

Grey images have items of shape (height, width), colours (height, width, 3). What Pillow would
convert with a loss (transparency, more than 8 bits, printing inks, frames of an animation) is
refused.
"""

import io
import logging
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tightbound.core.errors import UsageError
from tightbound.data.published.file import sha256
from tightbound.data.readers.raw import first_line, read_whole, shown

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "TGA")
_SUFFIXES = ".png .jpg .jpeg .jpe .jfif .tif .tiff .bmp .gif .webp .pbm .pgm .ppm .pnm .tga".split()
_OTHER = (
    ".apng .avif .dcm .dds .eps .exr .heic .heif .ico .j2k .jp2 .jpx .pcx .pdf .psd .svg .xpm"
).split()
"""Suffixes of images that are not read."""
_PLAIN = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "LA": "LA", "RGBA": "RGBA", "PA": "RGBA"}
"""The modes that are read, and what without loss holds them."""
_DEEP = re.compile(r"(?!BGR).*;(16|32)")  # raw modes; BGR;16 has five or six bits a channel
_ORIENTATION = 0x0112
_NOWHERE = logging.NullHandler()


class Folder:
    """The images of a folder.

    Attributes:
        paths: Their files, in natural order: a run of digits counts as a number.
        others: Names of what else lies there.
    """

    def __init__(self, folder: Path):
        """Looks at names alone.

        Raises:
            UsageError: The folder cannot be read, or an image is of a kind that is not read.
        """
        try:
            entries = sorted(folder.iterdir(), key=lambda path: _natural(path.name))
        except OSError as error:
            raise UsageError(f"{shown(folder)} cannot be read: {error.strerror}") from None
        suffixes = {path: path.suffix.lower() for path in entries}
        seen = [path for path in entries if not path.name.startswith(".")]
        self.paths = [path for path in seen if suffixes[path] in _SUFFIXES]
        self.others = [shown(path.name) for path in entries if path not in set(self.paths)]
        unread = [path for path in seen if suffixes[path] in _OTHER]
        if unread and self.paths:
            raise UsageError(
                f"{shown(unread[0])}: expected images {' '.join(_SUFFIXES)}; convert it, or take "
                "it out of the folder"
            )


def read_images(folder: Folder) -> tuple[UInt8[np.ndarray, "n height width *rgb"], str, list[str]]:
    """All images as bytes, SHA-256 over the checksums of the files, and notes.

    Raises:
        UsageError: An image is damaged, would lose something, or is of another size than the first.
    """
    images, checksums, turned = [], "", 0
    for path in folder.paths:
        content = read_whole(path)
        checksums += sha256(content)
        pixels, was_turned = _read(content, shown(path))
        turned += was_turned
        if images and pixels.shape[:2] != images[0].shape[:2]:
            raise UsageError(
                f"{shown(path)}: expected all images of one size, {_size(images[0])} as the first "
                f"({shown(folder.paths[0].name)}), got {_size(pixels)} (width x height)"
            )
        images.append(pixels)
    stacked, notes = _one_kind(images)
    first, last = (shown(folder.paths[at].name) for at in (0, -1))
    notes += [f"images are in the natural order of their names, {first} to {last}"]
    if turned:
        notes += [f"{turned} images were turned upright as their EXIF data say"]
    if folder.others:
        some = ", ".join(folder.others[:3]) + (", ..." if len(folder.others) > 3 else "")
        notes += [f"{len(folder.others)} other entries of the folder were left out: {some}"]
    return stacked, sha256(checksums.encode()), notes


def _one_kind(images: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Grey where all images are, colours where one has some."""
    colours = [image for image in images if image.ndim == 3]
    if not colours:
        return np.stack(images), []
    if all((image == image[..., :1]).all() for image in colours):
        grey = [image[..., 0] if image.ndim == 3 else image for image in images]
        return np.stack(grey), ["images stored as colours hold grey alone, and were read as grey"]
    rgb = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
    notes = ["items are colour images of shape (height, width, 3), red, green, blue"]
    if len(colours) < len(images):
        notes.append("some images are grey: red, green and blue are equal in them")
    return np.stack(rgb), notes


def _read(content: bytes, what: str) -> tuple[np.ndarray, bool]:
    """The pixels, (height, width) or (height, width, 3), and whether they were turned."""
    from PIL import Image, ImageOps

    logging.getLogger("PIL").addHandler(_NOWHERE)  # what it logs, it raises as well
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                _check_kind(image, what)
                if image.format == "PNG":
                    image.verify()  # compares the checksums, and leaves the image used up
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                upright = image.getexif().get(_ORIENTATION, 1) == 1
                image.load()
                turned = image if upright else ImageOps.exif_transpose(image)
                alpha = turned.has_transparency_data
                pixels = np.asarray(turned.convert("RGBA" if alpha else _PLAIN[turned.mode]))
    except UsageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UsageError(f"{what}: expected an image, got one of too many pixels") from None
    except Exception as error:  # damaged files make the parsers raise nearly everything
        raise UsageError(
            f"{what}: expected an image, got damaged data ({first_line(error)})"
        ) from None
    return _opaque(pixels, what), not upright


def _check_kind(image: Any, what: str) -> None:
    """Refuses what would be converted with a loss."""
    if image.mode not in _PLAIN or _is_deep(image):
        raise UsageError(
            f"{what}: expected 8 bits a channel, grey or red, green, blue; got mode {image.mode}"
            f"{' of more bits' if image.mode in _PLAIN else ''}; convert it first"
        )
    covered = sum((right - left) * (low - top) for _, (left, top, right, low), *_ in image.tile)
    if image.tile and covered < image.width * image.height:
        raise UsageError(f"{what}: expected an image, got damaged data (some of it is missing)")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UsageError(f"{what}: expected one image, got {frames} frames or pages; split them")


def _is_deep(image: Any) -> bool:
    """Whether the file holds more than 8 bits a channel, of which Pillow would keep 8."""
    for tile in image.tile:
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(arg, str) and _DEEP.match(arg) for arg in args):
            return True
        if tile[0].startswith("ppm") and any(isinstance(arg, int) and arg > 255 for arg in args):
            return True
    return False


def _opaque(pixels: np.ndarray, what: str) -> np.ndarray:
    """Without an alpha channel that says nothing."""
    if pixels.ndim < 3 or pixels.shape[2] == 3:
        return pixels
    if (pixels[..., -1] != 255).any():
        raise UsageError(
            f"{what}: expected an opaque image, got transparent pixels, whose values depend on "
            "what they are laid over; flatten it onto a background first"
        )
    return pixels[..., :-1]


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key for sorting in which a run of digits counts as a number: 2 stands before 10."""
    parts = re.split(r"(\d+)", name)
    key = [(int(p[:4000]), "") if p[:1].isdecimal() else (-1, p.casefold()) for p in parts]
    return key, name


def _size(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    return f"{width}x{height}"
