"""Items as images: their height, width and channels, and masks of pixels, in words or arrays."""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, unknown
from tightbound.core.streams import first_keys
from tightbound.data import DataLike, Source, as_array
from tightbound.data.door import Values

WORDS = ("left half", "right half", "upper half", "lower half", "centre", "random 50%")
"""Masks that have a name; 50 stands for any number of per cent."""
Shape = tuple[int, ...]


def as_images(x: DataLike, what: str) -> tuple[Values | Source, Shape]:
    """Data that have passed the door, and the shape in which each item came.

    Raises:
        UsageError: As for `as_array`.
    """
    if isinstance(x, Source):
        return x, x.item_shape
    values = as_array(x, what)
    return values, values.x.shape[1:]


def image_shape(came: Shape, item: Shape, shape: Sequence[int] | None) -> Shape | None:
    """Height and width, and channels if there are any: as said, or else as items are or came.

    Raises:
        UsageError: A shape that is none of an image, or of another size than the items.
    """
    if shape is not None:
        sizes = at_least(1, **{f"shape[{i}]": size for i, size in enumerate(shape)})
        if len(sizes) not in (2, 3) or math.prod(sizes) != math.prod(item):
            raise UsageError(
                "expected shape=(height, width) or (height, width, channels) of "
                f"{math.prod(item)} values in all, got {tuple(shape)}"
            )
        return sizes
    return next((one for one in (came, item) if len(one) in (2, 3)), None)


def mask_of(
    mask: Any, came: Shape, image: Shape | None, n: int, key: PRNGKeyArray
) -> Bool[np.ndarray, "n d"]:
    """Which values of n items a mask hides, row by row.

    Args:
        mask: One of `WORDS`, or truth values (or 0 and 1), for one item or for all.
        came: The shape of an item.
        image: The same as an image; None where that is not known.
        n: How many items there are.
        key: By which random pixels are drawn, for each item anew.

    Raises:
        UsageError: Another word or shape, or other values.
    """
    d = math.prod(came)
    if isinstance(mask, str):
        return np.broadcast_to(_in_words(mask, image or (d,), n, key), (n, d))
    hidden = np.asarray(mask)
    if hidden.dtype != bool:
        if hidden.dtype.kind not in "iuf" or not np.isin(hidden, (0, 1)).all():
            raise UsageError(
                "expected mask= as truth values, or as 0 and 1, True where pixels are to be filled "
                f"(or in words: {', '.join(WORDS)}), got values of type {hidden.dtype}"
            )
        hidden = hidden.astype(bool)
    shapes = [(d,), came, *([] if image is None else [image])]
    pixels, channels = (None, 1) if image is None or len(image) == 2 else (image[:2], image[2])
    if hidden.shape in shapes:
        return np.broadcast_to(hidden.reshape(1, d), (n, d))
    if hidden.shape in [(n, *one) for one in shapes]:
        return hidden.reshape(n, d)
    if pixels is not None and hidden.shape in (pixels, (n, *pixels)):
        of_pixels = np.broadcast_to(hidden.reshape(-1, *pixels), (n, *pixels))
        return np.repeat(of_pixels.reshape(n, -1), channels, axis=1)
    all_shapes = dict.fromkeys([*shapes, *([] if pixels is None else [pixels])])
    raise UsageError(
        f"expected mask= of an item's shape, {' or '.join(map(str, all_shapes))}, or one for each "
        f"of {n} items, got an array of shape {hidden.shape}"
    )


def _in_words(words: str, image: Shape, n: int, key: PRNGKeyArray) -> Bool[np.ndarray, "rows d"]:
    random = re.fullmatch(r"random (\d+(?:\.\d+)?) ?%", words)
    if words not in WORDS and random is None:
        raise unknown("mask", words, WORDS)
    pixels, channels = (image, 1) if len(image) < 3 else (image[:2], image[2])
    if random is not None:
        share = float(random[1]) / 100
        if not 0 < share <= 1:
            raise UsageError(f"expected a mask of random 1% to 100%, got {words!r}")
        draw = jax.vmap(lambda key: jax.random.uniform(key, (math.prod(pixels),)))
        return np.repeat(np.asarray(draw(first_keys(key, n)) < jnp.float32(share)), channels, 1)
    if len(pixels) != 2:
        raise UsageError(
            f"expected shape=(height, width) for the mask {words!r}: items came as "
            f"{math.prod(image)} values side by side"
        )
    height, width = pixels
    hidden = np.zeros(pixels, bool)
    hidden[
        {
            "left half": np.s_[:, : width // 2],
            "right half": np.s_[:, width - width // 2 :],
            "upper half": np.s_[: height // 2],
            "lower half": np.s_[height - height // 2 :],
            # Half as high and half as wide as the image.
            "centre": np.s_[height // 4 : height - height // 4, width // 4 : width - width // 4],
        }[words]
    ] = True
    return np.repeat(hidden.reshape(1, -1), channels, axis=1)
