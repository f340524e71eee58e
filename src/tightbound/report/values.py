"""Values out of records, where what is not of the kind wanted counts as nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_sequence(value: object) -> list[Any]:
    """The value where it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> float:
    """The value where it is a number (NaN and infinities included), else NaN."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return float("nan")


def as_numbers(value: object) -> Float[np.ndarray, " numbers"]:
    """The entries of a JSON array as numbers, NaN where they are none."""
    return np.array([as_number(entry) for entry in as_sequence(value)], dtype=float)


def tables(arrays: Mapping[str, np.ndarray]) -> dict[str, Float[np.ndarray, "rows columns"]]:
    """The arrays of two axes that hold numbers, in double precision."""
    return {
        name: array.astype(np.float64)
        for name, array in arrays.items()
        if array.ndim == 2 and array.dtype.kind in "fiub"
    }
