"""The IDX format of the MNIST files: big-endian header, then unsigned bytes."""

import math

import numpy as np
from jaxtyping import UInt8

from tightbound.core.errors import UsageError

_UNSIGNED_BYTES = 8


def read_idx(content: bytes, item: tuple[int, ...], where: str) -> UInt8[np.ndarray, "n *item"]:
    """Parses a file whose magic number, sizes and length must all agree.

    Args:
        content: The unpacked bytes.
        item: The shape of one item, such as (28, 28), or () for labels.
        where: The file, for the error.

    Raises:
        UsageError: Says which of the three is wrong, what was expected and what came.
    """
    rank = 1 + len(item)
    magic = bytes([0, 0, _UNSIGNED_BYTES, rank])
    if content[:4] != magic:
        raise UsageError(
            f"{where}: expected the IDX magic number {magic.hex(' ')}, got {content[:4].hex(' ')}"
        )
    start = 4 + 4 * rank
    if len(content) < start:
        raise UsageError(f"{where}: expected a header of {start} bytes, got {len(content)} bytes")
    sizes = tuple(np.frombuffer(content, ">u4", count=rank, offset=4).tolist())
    if sizes[1:] != item or sizes[0] == 0:
        raise UsageError(f"{where}: expected sizes (n, *{item}) with n > 0, got {sizes}")
    if len(content) != start + math.prod(sizes):
        raise UsageError(
            f"{where}: the header announces {start + math.prod(sizes):,} bytes, "
            f"got {len(content):,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
