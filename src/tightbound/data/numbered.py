"""One column as numbers: levels by their places, and a refusal of what its kind does not allow."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int

from tightbound.core.errors import UsageError, unknown
from tightbound.data.schema import Column
from tightbound.data.table import Refused, Table, Words, is_number, level_text

_EXPECTED = {
    "positive": "a number above 0",
    "count": "a whole number from 0",
}


class Factor(NamedTuple):
    """The different values of a column as texts, and which of them each row has: -1 for holes."""

    levels: list[str]
    numbers: Int[np.ndarray, " n"]


def numbers(table: Table, j: int, of: Column) -> Float64[np.ndarray, " n"]:
    """The numbers of a table's column, as a column of a schema has them.

    Raises:
        UsageError: A value that it does not allow: its row, line and column are named.
    """
    column = table.columns[j]
    if isinstance(column, Refused):
        raise column.error
    if of.levelled:
        factor = factor_of(table, j)
        place = {level: number for number, level in enumerate(of.levels)}
        found = [place.get(level, place.get(plain_level(level), -1)) for level in factor.levels]
        codes = np.array([*found, np.nan])
        if -1 in found:
            row = int(np.argmax((codes == -1)[factor.numbers]))
            got = factor.levels[factor.numbers[row]]
            raise UsageError(f"{table.where(row, j)}: {unknown('a level', got, of.levels)}")
        return codes[factor.numbers]
    if isinstance(column, Words):
        row = next(row for row, text in enumerate(column.texts) if text is not None)
        raise UsageError(
            f"{table.where(row, j)}: expected {_EXPECTED.get(of.kind, 'a number')}, got "
            f"{column.texts[row]!r:.60}"
        )
    x = column.astype(np.float64)
    good = _inside(of, x) | np.isnan(x)
    if not good.all():
        row = int(np.argmax(~good))
        wanted = _EXPECTED.get(of.kind, f"a number from {of.low} to {of.high}")
        raise UsageError(f"{table.where(row, j)}: expected {wanted} ({of.kind}), got {x[row]:g}")
    large = np.abs(x) > np.finfo(np.float32).max
    if large.any():
        row = int(np.argmax(large))
        raise UsageError(
            f"{table.where(row, j)}: expected a finite number of at most 3.4e38 in size, got "
            f"{x[row]:g}; use other units"
        )
    return x


def _inside(of: Column, x: np.ndarray) -> np.ndarray:
    if of.kind == "positive":
        return x > 0
    if of.kind == "count":
        return (x >= 0) & (x % 1 == 0)
    if of.kind == "bounded":
        return (x >= of.low) & (x <= of.high)
    return np.ones(len(x), bool)


def factor_of(table: Table, j: int) -> Factor:
    """A column's different values."""
    column = table.columns[j]
    if isinstance(column, Refused):
        raise column.error
    if isinstance(column, Words):
        place: dict[str, int] = {}
        found = [
            -1 if text is None or not text.strip() else place.setdefault(text, len(place))
            for text in column.texts
        ]
        return Factor(list(place), np.array(found, int))
    missing = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
    values, inverse = np.unique(column[~missing], return_inverse=True)
    found = np.full(len(column), -1)
    found[~missing] = inverse
    truth = table.dtype(j) == "bool"
    return Factor([level_text(bool(v) if truth else v) for v in values], found)


def plain_level(text: str) -> str:
    """How `level_text` writes a number; other texts as they are."""
    return level_text(float(text)) if is_number(text) else text
