"""A table as its source gives it, before anything is coded: numbers, words, and what is neither."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from tightbound.core.errors import UsageError

_WHOLE = 2**53  # up to it, every float64 that is whole is an integer of its own


class Words(NamedTuple):
    """A column of texts, or of a categorical type.

    Attributes:
        texts: Each value as text; None where it is missing.
        levels: All levels in the source's own order; empty where it has none.
        ordered: Whether the source says that this order means something.
        dtype: The type of the values: "str", or that of numbers that name levels.
        kind: What the source calls it, for errors.
    """

    texts: list[str | None]
    levels: tuple[str, ...] = ()
    ordered: bool = False
    dtype: str = "str"
    kind: str = "text"


class Refused(NamedTuple):
    """A column that is no column of a model, unless it is left out."""

    error: UsageError


Column = Shaped[np.ndarray, " n"] | Words | Refused


class Table(NamedTuple):
    """Columns and their names; in numbers holes are NaN.

    Attributes:
        columns: One entry a column.
        names: The columns' names.
        rows: The rows' names; empty where they only count.
        notes: What was set apart.
        what: What the table is, for errors.
        dtypes: The type of each column in the source; empty where the columns' own types say it.
        decimals: The decimal places of each column in the source; empty where it holds floats.
        lines: The line of each row in the source; empty where it has none.
        headed: Whether the first line of a text names the columns.
    """

    columns: list[Column]
    names: tuple[str, ...]
    rows: tuple[str, ...]
    notes: tuple[str, ...]
    what: str
    dtypes: tuple[str, ...] = ()
    decimals: tuple[int | None, ...] = ()
    lines: Sequence[int] = ()
    headed: bool = False

    def dtype(self, j: int) -> str:
        """The type of a column's values in the source."""
        column = self.columns[j]
        if isinstance(column, Words):
            return column.dtype
        if self.dtypes:
            return self.dtypes[j]
        return column.dtype.name if isinstance(column, np.ndarray) else "str"

    def where(self, row: int, j: int) -> str:
        """A cell's place in words."""
        line = f" (line {self.lines[row]})" if len(self.lines) else " (counted from 0)"
        return f"{self.what}: row {row}{line}, column {self.names[j][:80]!r}"


def level_text(value: Any) -> str:
    """How a level is written that the source holds as a value: whole numbers without a point."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        whole = np.isfinite(value) and value == int(value) and abs(value) < _WHOLE
        return str(int(value)) if whole else repr(float(value))
    return str(value)


def is_number(text: str) -> bool:
    """Whether a text is a number as Python writes them, infinite ones too."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
