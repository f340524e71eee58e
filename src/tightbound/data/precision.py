"""From any real type to the models' precision, refused where that loses what the data say."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from tightbound.core.errors import UsageError
from tightbound.data.check import blocks

LOSS = 1e-3
"""The most that rounding may take, as a share of the spread of a column."""
_LOOKED_AT = 2_000  # rows from which the quartiles of a column are found
_EXACT = 2**24  # up to it, every integer is a float32
_TINY = np.finfo(np.float32).tiny  # below it, devices take numbers for zero


def rounded(
    x: Shaped[np.ndarray, "n *item"], dtype: Any, what: str, columns: tuple[str, ...] = ()
) -> Float[np.ndarray, "n *item"]:
    """The numbers in single or double precision; those that are float32 already are not copied.

    A column is refused whose rounding errors in single precision exceed a thousandth of its
    spread: the root of their mean square against the standard deviation, or, which no outlier
    hides, their median against the distance of the quartiles. Other columns lose nothing that a
    model could see.

    Args:
        x: Real numbers.
        dtype: float32 or float64.
        what: What they are, for errors.
        columns: The names of the columns, for errors.

    Raises:
        UsageError: A number too large for the precision, or such a column: it is named.
    """
    check_precision(x, dtype, what, columns)
    with np.errstate(under="ignore"):
        return np.ascontiguousarray(x, dtype=dtype)


def check_precision(
    x: Shaped[np.ndarray, "n *item"], dtype: Any, what: str, columns: tuple[str, ...] = ()
) -> None:
    """Refuses what `rounded` refuses, and reads no more of an array at a time than it looks at.

    Raises:
        UsageError: As for `rounded`.
    """
    if x.size == 0 or x.dtype == dtype or x.dtype == np.float16 or x.dtype.itemsize == 1:
        return
    if x.dtype.kind == "f":
        _check_overflow(x, dtype, what, columns)
    exact = x.dtype.kind in "iu" and int(x.max()) <= _EXACT and int(x.min()) >= -_EXACT
    if dtype == np.float32 and not exact and len(x) > 1:
        _check_loss(x.reshape(len(x), -1), what, columns)


def _check_overflow(x: np.ndarray, dtype: Any, what: str, columns: tuple[str, ...]) -> None:
    largest = np.finfo(dtype).max
    for start, some in blocks(x):
        with np.errstate(over="ignore", under="ignore"):
            lost = np.isinf(some.astype(dtype)) & np.isfinite(some)
        if lost.any():
            row, column = map(int, np.argwhere(lost)[0])
            raise UsageError(
                f"{what}: row {row + start}, {_named(column, columns)} is {some[row, column]!s}, "
                f"expected a finite number of at most {largest:.3g} in size; use other units"
            )


def _check_loss(x: np.ndarray, what: str, columns: tuple[str, ...]) -> None:
    at_once = max(1, 2**22 // len(x))  # columns looked at together: bounds the memory
    some = slice(None, None, max(1, len(x) // _LOOKED_AT))
    for first in range(0, x.shape[1], at_once):
        here = slice(first, first + at_once)
        exact = x[:, here].astype(np.float64, copy=False)
        with np.errstate(under="ignore"):
            values = x[:, here].astype(np.float32)
        single = np.where(np.abs(values) < _TINY, 0, values).astype(np.float64)
        if np.array_equal(exact, single, equal_nan=True) and x.dtype.kind == "f":
            continue
        lossy = _by_deviation(exact, single) | _by_quartiles(exact[some], single[some])
        if x.dtype.kind in "iu":  # distinct ones may be equal as float64 already
            lossy |= (_range(exact) == 0) & (x[:, here].min(axis=0) != x[:, here].max(axis=0))
        if lossy.any():
            column = int(np.argmax(lossy))
            name = _named(first + column, columns)
            raise _loss(x[:, first + column], single[:, column], f"{what}: {name}")


def _by_deviation(exact: np.ndarray, single: np.ndarray) -> np.ndarray:
    """Whether the errors' root mean square exceeds its share of the standard deviation."""
    known = np.isfinite(exact)
    count = np.maximum(known.sum(axis=0), 1)
    size = np.maximum(np.abs(np.where(known, exact, 0)).max(axis=0), np.finfo(float).tiny)
    exact = np.where(known, exact / size, 0)  # no square over- or underflows
    errors = np.where(known, single / size - exact, 0)
    away = np.where(known, exact - exact.sum(axis=0) / count, 0)
    constant = _range(np.where(known, exact, np.nan)) == 0
    lost = np.sqrt((errors**2).sum(axis=0)) > LOSS * np.sqrt((away**2).sum(axis=0))
    return lost & ~constant


def _by_quartiles(exact: np.ndarray, single: np.ndarray) -> np.ndarray:
    """Whether the median error exceeds its share of the quartiles' distance.

    Where one value is more than a quarter of all (a zero that stands for "none"), the others are
    looked at by themselves as well.
    """
    lossy = np.zeros(exact.shape[1], bool)
    for column in np.flatnonzero((exact != single).any(axis=0)):
        values, rounded_to = exact[:, column], single[:, column]
        known = np.isfinite(values)
        distinct, counts = np.unique(values[known], return_counts=True)
        common = distinct[counts > known.sum() / 4]
        for chosen in (known, known & ~np.isin(values, common)):
            if len(np.unique(values[chosen])) > 1:
                errors = np.abs(rounded_to[chosen] - values[chosen])
                low, high = np.quantile(values[chosen], (0.25, 0.75))
                lossy[column] |= bool(np.median(errors) > LOSS * (high - low) > 0)
    return lossy


def _range(x: np.ndarray) -> np.ndarray:
    """Largest minus smallest number of each column; 0 for a column of holes."""
    known = np.isfinite(x)
    high = np.where(known, x, -np.inf).max(axis=0)
    low = np.where(known, x, np.inf).min(axis=0)
    return np.where(known.any(axis=0), high - low, 0.0)


def _loss(x: np.ndarray, single: np.ndarray, where: str) -> UsageError:
    known = np.isfinite(x)
    before, after = len(np.unique(x[known])), len(np.unique(single[known]))
    return UsageError(
        f"{where}: its values, from {x[known].min()!s} to {x[known].max()!s}, are too close "
        f"together for single precision ({before:,} different ones would become {after:,}); "
        "subtract an offset, such as the smallest, or change the unit"
    )


def _named(column: int, columns: tuple[str, ...]) -> str:
    return f"column {columns[column]!r}" if columns else f"column {column} (counted from 0)"
