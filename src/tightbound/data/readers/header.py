"""Whether the first line of a text table names its columns. A line of numbers may do so too.

A first line whose cells are all text, or text before years or counts, names the columns. Numbers
that count (0, 1, 2; 2018, 2019) may be names or a row: names where there are many and the numbers
below are of another kind, a row where they look like those below, and refused where neither is
clear.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from tightbound.core.errors import UsageError
from tightbound.data.readers.cells import is_missing
from tightbound.data.table import is_number

_INTEGER = re.compile(r"\s*\d{1,9}\s*")
_YEARS = range(1800, 2201)
_MANY = 4  # numbers that count, above others of another kind
_VERY_MANY = 8


def names_columns(first: list[str], second: list[str] | None) -> bool | None:
    """Whether the first line is a header; None where the numbers below it must tell.

    Args:
        first: The cells of the first line.
        second: Those of the second.
    """
    text = [not is_number(cell) and not is_missing(cell) for cell in first]
    numbers = [cell for cell in first if is_number(cell)]
    if any(text):
        if not numbers:
            return True
        before = all(text[: len(text) - len(numbers)]) and not any(text[-len(numbers) :])
        over = [second[j] for j in np.flatnonzero(text) if second and j < len(second)]
        return before and _counts(numbers) and any(is_number(c) or is_missing(c) for c in over)
    if not numbers:
        return False  # a row of holes
    indexed = first[0].strip() == "" and len(numbers) == len(first) - 1
    if indexed and numbers == [str(j) for j in range(len(numbers))]:
        return True  # as pandas writes a frame without names
    if (indexed or len(numbers) == len(first)) and _counts(numbers):
        return None
    return False


def decide_words(first: list[str], below: Sequence[Sequence[str]], what: str) -> tuple[bool, str]:
    """Whether a first line above columns of which some hold words is a header, and a note.

    It is one if it names a column of numbers in words, or numbers that count name one of words. A
    line above words is a row if one of its cells is a level below it, or a question mark.

    Args:
        first: Its cells.
        below: The cells below each of them.
        what: The file, for the error.

    Raises:
        UsageError: It may be either.
    """
    first = [cell.strip() for cell in first]
    columns = [{cell.strip() for cell in cells if not is_missing(cell)} for cells in below]
    numeric = [all(map(is_number, cells)) for cells in columns]
    words = [not is_number(cell) and not is_missing(cell) for cell in first]
    numbers = [cell for cell in first if is_number(cell)]
    shown = ", ".join(cell[:20] for cell in first[:3]) + (", ..." if len(first) > 3 else "")
    recurs = "?" in first or any(
        cell in cells and not (number and is_number(cell))
        for cell, cells, number in zip(first, columns, numeric, strict=True)
    )
    if not numbers:
        over = any(
            word and cells and number
            for word, cells, number in zip(words, columns, numeric, strict=True)
        )
        if over:
            return True, ""
        if recurs:
            return False, f"the first line ({shown}) is a row; header=True makes it names"
        return True, f"the first line ({shown}) names the columns; header=False makes it a row"
    counts = _counts(numbers)
    if counts and not any(words) and len(numbers) > 1 and not recurs:
        return True, f"the first line ({shown}) names the columns; header=False makes it a row"
    before = all(words[: len(words) - len(numbers)]) and not any(words[-len(numbers) :])
    if not (before and counts) or recurs:
        return False, ""
    raise _either(what, shown)


def _either(what: str, shown: str) -> UsageError:
    return UsageError(
        f"{what}: the first line ({shown}) may name the columns or be a row; put a line of "
        "names in words above it or in its place, or say which: --header yes or no, in Python "
        "header=True or False"
    )


def _counts(cells: list[str]) -> bool:
    """Whether numbers are years, or go up by equal steps."""
    values = np.array([float(cell) for cell in cells])
    if not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    equal = bool(np.all(steps > 0)) and np.allclose(steps, steps[0] if len(steps) else 0, rtol=1e-6)
    if not all(_INTEGER.fullmatch(cell) for cell in cells):
        return equal and len(cells) >= _MANY
    years = all(value in _YEARS for value in values) and bool(np.all(steps > 0))
    if len(values) == 1:
        return years
    return years or (equal and (len(cells) > 2 or bool(np.all(steps == 1))))


def decide(
    first: Float64[np.ndarray, " d"], below: Float64[np.ndarray, "n d"], what: str
) -> tuple[bool, str]:
    """Whether a first line of numbers that count is a header, and a note that says so.

    Args:
        first: Its numbers.
        below: The numbers of the other lines.
        what: The file, for the error.

    Raises:
        UsageError: It may be either.
    """
    shown = ", ".join(f"{v:g}" for v in first[:3]) + (", ..." if len(first) > 3 else "")
    as_row = f"the first line ({shown}) is a row; header=True makes it the columns' names"
    if not len(below):
        return False, as_row
    known = np.isfinite(below)
    low = np.where(known, below, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, below, -np.inf).max(axis=0, initial=-np.inf)
    outside = bool(((first < low) | (first > high)).any())
    whole = bool((first % 1 == 0).all())
    fractions = whole and bool((np.where(known, below, 0) % 1 != 0).any(axis=0).all())
    if len(first) >= _VERY_MANY and (outside or fractions) or len(first) >= _MANY and fractions:
        return True, f"the first line ({shown}) names the columns; header=False makes it a row"
    from_zero = len(first) > 2 and np.array_equal(first, np.arange(len(first)))
    if outside or fractions or from_zero:
        raise _either(what, shown)
    return False, as_row
