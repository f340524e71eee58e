"""Checks values on the host, once per data set or public call, and names the first bad entry."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.core.supports import COLUMNWISE, Support

_ROWS = 4096  # rows looked at together: bounds the memory, and stops early at a bad entry
_NUMBERS = 2**24  # and numbers
_NO_MISSING = "missing values (NaN) are not taken here: fill them, or drop such rows"


def check_values(
    x: np.ndarray,
    support: str,
    what: str,
    columns: tuple[str, ...] = (),
    *,
    holes: bool = False,
    dtype: Any = None,
    sequences: bool = False,
) -> None:
    """Refuses data outside a support; infinities are outside all of them.

    Args:
        x: Items along the first axis, shape (n, *item), of a real type; columns count the values
            of an item, row by row.
        support: "binary" {0, 1}, "unit" [0, 1], "positive", "real" (finite) or "count", or a
            `Support`, which may expect something else of each column.
        what: What the values are, for the error.
        columns: The columns' names, for the error; those of the support where they are left out,
            and where there are none columns are counted.
        holes: Whether values may be missing, which are NaN.
        dtype: The precision in which they are looked at; their own if left out.
        sequences: Whether items are sequences of shape (steps, d), for the error.

    Raises:
        UsageError: Not of shape (n, *item), empty, not of a numeric type, or an entry outside the
            support: the first such entry's row, column (both from 0) and value are named.
    """
    known = support if isinstance(support, Support) else COLUMNWISE.get(support)
    if known is None:
        raise UsageError(f"expected a support out of {', '.join(COLUMNWISE)}, got {support!r}")
    columns = columns or getattr(known, "names", ())
    shape = x.shape
    if x.ndim > 2:
        x = x.reshape(len(x), math.prod(shape[1:]))
    check_table(x, what)
    for start, some in blocks(x, dtype):
        good = known.inside(some) | np.isnan(some) if holes else known.inside(some)
        if not good.all():
            row, column = np.argwhere(~good)[0]
            value = some[row, column]
            place = f"row {row + start}, column {column} (counted from 0)"
            if sequences:
                step, of_step = divmod(int(column), shape[-1])
                place = f"sequence {row + start}, step {step}, column {of_step} (counted from 0)"
            elif columns:
                place = f"row {row + start} (counted from 0), column {columns[column]!r}"
            missing = f"; {_NO_MISSING}" if np.isnan(value) else ""
            expected = known.at(int(column)).expected
            raise UsageError(f"{what}: {place} is {value!s}, expected {expected}{missing}")


def blocks(x: np.ndarray, dtype: Any = None) -> Iterator[tuple[int, np.ndarray]]:
    """Some items at a time as rows, in a precision, with the number of the first.

    No more than a block is read of an array that lies in a file.
    """
    size = math.prod(x.shape[1:])
    rows = max(1, min(_ROWS, _NUMBERS // max(1, size)))
    for start in range(0, len(x), rows):
        some = x[start : start + rows]
        some = some.reshape(len(some), size)
        yield start, some if dtype is None else some.astype(dtype, copy=False)


def check_table(x: np.ndarray, what: str) -> None:
    """Refuses an array that is no table of numbers with at least one row and one column.

    Raises:
        UsageError: Says what came and what to do.
    """
    if x.dtype.kind not in "biuf":
        raise UsageError(
            f"{what}: expected real numbers, got an array of type {x.dtype}; convert it first, "
            "for example with .astype('float32')"
        )
    if x.size == 0:
        raise UsageError(f"{what}: expected at least one row and one column, got shape {x.shape}")
    if x.ndim != 2:
        hint = "reshape one column to (n, 1)" if x.ndim == 1 else "flatten each item to a row"
        raise UsageError(f"{what}: expected shape (n, d), got {x.shape}; {hint}")


def missing(x: np.ndarray) -> int:
    """How many values are missing."""
    if x.dtype.kind != "f":
        return 0
    return sum(int(np.isnan(some).sum()) for _, some in blocks(x))
