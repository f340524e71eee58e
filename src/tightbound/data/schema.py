"""What the columns of a table are: kinds, levels, limits, and the types they go back to.

Inside the library a table is an array of numbers, one column for each of the schema's: a level is
its number from 0, a hole is NaN. A schema says what these numbers mean.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["real", "positive", "count", "category", "ordinal", "binary", "bounded"]
KINDS: tuple[Kind, ...] = (
    "real",
    "positive",
    "count",
    "category",
    "ordinal",
    "binary",
    "bounded",
)
LEVELLED: tuple[Kind, ...] = ("category", "ordinal", "binary")
"""Kinds whose numbers are those of levels."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its name in the source; "x0", "x1", ... by position where that has none.
        kind: "real" (any number), "positive" (above 0), "count" (whole, from 0), "category",
            "ordinal" (levels in an order), "binary" (two levels), or "bounded" (between `low` and
            `high`).
        levels: Of a category, ordinal or binary column: each level as the source writes it; the
            number of a level in the array is its place here.
        low: Of a bounded column.
        high: Of a bounded column.
        dtype: The type of the source's values, which they go back to: "int64", "float32", "bool",
            "str", ...
        decimals: Decimal places with which the source writes it; None where it holds floats.
        unit: The unit of measurement, for pages; "" where it is not known.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    dtype: str = "float64"
    decimals: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns that a model sees, and what became of the others.

    Attributes:
        columns: In the order of the array's columns.
        label: The name of the column that is a label and none of `columns`; "" where there is none.
        label_levels: The label's levels.
        dropped: Columns that are not seen, by name, each with the reason.
    """

    columns: tuple[Column, ...]
    label: str = ""
    label_levels: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)
