"""Numbers out of what is no array of them, exactly; and the refusal of what is none."""

import numbers
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

from tightbound.core.errors import UsageError

_EXACT = 2**53  # beyond it, not every integer is a float64
_EXAMPLES = 3


def from_objects(array: Shaped[np.ndarray, "*s"], what: str) -> Float64[np.ndarray, "*s"]:
    """Python's numbers as float64; None and pandas' NA become NaN.

    Raises:
        UsageError: An element that is no number: its type and some such elements are named.
    """
    flat = np.empty(array.size, np.float64)
    wrong: list[Any] = []
    for place, value in enumerate(array.ravel()):
        if value is None or type(value).__name__ == "NAType":
            flat[place] = np.nan
        elif isinstance(value, numbers.Real | np.bool_ | Decimal):
            flat[place] = _double(value, what)
        else:
            wrong.append(value)
    if wrong:
        raise no_numbers(what, f"values of type {type(wrong[0]).__name__}", wrong)
    return flat.reshape(array.shape)


def _double(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (OverflowError, ValueError):
        number = np.inf
    whole = isinstance(value, numbers.Integral)
    if whole and abs(int(value)) > _EXACT and (np.isinf(number) or int(number) != int(value)):
        raise too_long(what, value)
    return number


def to_double(array: Shaped[np.ndarray, "*s"], what: str) -> Float64[np.ndarray, "*s"]:
    """The same numbers as float64.

    Raises:
        UsageError: An integer with more digits than a float64 holds.
    """
    double = array.astype(np.float64)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        for place in np.flatnonzero(np.abs(double) >= _EXACT):
            value = int(array.ravel()[place])
            if int(double.ravel()[place]) != value:
                raise too_long(what, value)
    return double


def too_long(what: str, value: object) -> UsageError:
    """The error for an integer that no float64 holds."""
    return UsageError(
        f"{what}: expected integers of at most 15 digits, got {str(value)[:40]}, which would be "
        "rounded; subtract an offset from the column, or leave it out if it is an identifier"
    )


def no_numbers(what: str, kind: str, values: Iterable[Any], hint: str = "") -> UsageError:
    """The error for a column of something else, with some of its values and what else to do."""
    distinct = list(dict.fromkeys(repr(value)[:40] for value in values))
    shown = ", ".join(distinct[:_EXAMPLES]) + (", ..." if len(distinct) > _EXAMPLES else "")
    return UsageError(
        f"{what}: expected real numbers, got {kind} ({shown or 'no value'}); code them as numbers "
        f"first, or leave them out{hint}"
    )
