"""What the columns of a table are: kinds, levels, limits, and the types they go back to.

Inside the library a table is an array of numbers, one column for each of the schema's: a level is
its number from 0, a hole is NaN. A schema says what these numbers mean.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

from tightbound.core.aligned import aligned
from tightbound.core.errors import UsageError, unknown
from tightbound.core.files import read_bytes
from tightbound.data.entries import check_keys, checked, texts_of
from tightbound.data.table import is_number

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
_EXACT = 2**53
_SHOWN = 8  # levels in one line of a printed schema


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
        least: The least value of a column of numbers in the data that the schema was made of.
        greatest: The greatest.
        missing: How many of its values were missing there.
        guessed: What the kind was guessed from; "" where it was declared or leaves no doubt.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    dtype: str = "float64"
    decimals: int | None = None
    unit: str = ""
    least: float | None = None
    greatest: float | None = None
    missing: int = 0
    guessed: str = ""

    @property
    def levelled(self) -> bool:
        """Whether its numbers are those of levels."""
        return self.kind in LEVELLED

    def restore(self, values: Float[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
        """Numbers of the array as values of the source's type, by the nearest that it has.

        Levels are taken by the nearest number, counts and whole types are rounded, decimal
        fractions have the source's places. A hole is None among texts and truth values, else NaN,
        for which whole numbers become float64.
        """
        values = np.asarray(values, np.float64)
        hole = np.isnan(values)
        if self.levelled:
            numbers = np.clip(np.rint(np.where(hole, 0, values)), 0, len(self.levels) - 1)
            own = [self._level(text) for text in self.levels]
            found = np.array(own, object)[numbers.astype(int)]
            found[hole] = None
            if isinstance(own[0], str | bool):
                return found if hole.any() or isinstance(own[0], str) else found.astype(bool)
            values = found.astype(np.float64)
        if self.kind == "count":
            values = np.maximum(values, 0)
        whole = np.dtype(self.dtype).kind in "iu" or self.kind == "count"
        if whole or self.decimals is not None:
            places = 0 if whole else self.decimals or 0
            values = np.round(values, places)
            if self.kind == "positive":
                values = np.maximum(values, 10.0**-places)
        if self.kind == "bounded":
            values = np.clip(values, self.low, self.high)
        if np.dtype(self.dtype).kind not in "iu":
            return values.astype(self.dtype)
        if hole.any():
            return values
        limits = np.iinfo(self.dtype)  # and what float64 holds exactly
        low, high = max(limits.min, -_EXACT), min(limits.max, _EXACT)
        return np.clip(values, low, high).astype(self.dtype)

    def _level(self, text: str) -> Any:
        """A level as a value of the source's type."""
        if self.dtype == "str" or not all(map(is_number, self.levels)):
            return text == "True" if self.dtype == "bool" else text
        return float(text) != 0 if self.dtype == "bool" else float(text)


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

    def __str__(self) -> str:
        """A table: name, kind, levels or range, missing values, and what was guessed."""
        head = ("column", "kind", "values", "missing", "")
        shown = aligned([head, *(_line(column) for column in self.columns)])
        if self.label:
            shown.append(f"label {self.label!r}: {_listed(self.label_levels)}")
        shown += [f"dropped {name!r}: {reason}" for name, reason in self.dropped]
        return "\n".join(shown)

    @property
    def plain(self) -> bool:
        """Whether the array holds the source's numbers as they are, in all of its columns."""
        levels = {column.levels for column in self.columns if column.levelled}
        return levels <= {("0", "1"), ("False", "True")} and not (self.dropped or self.label)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """A column by its name.

        Raises:
            UsageError: There is none; near names are said.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise unknown("column", name, self.names)

    def restore(self, x: Float[np.ndarray, "n d"]) -> dict[str, Shaped[np.ndarray, " n"]]:
        """An array's columns by name, each in the source's own type: see `Column.restore`.

        Raises:
            UsageError: Another number of columns.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != len(self.columns):
            raise UsageError(
                f"expected rows of the schema's {len(self.columns)} columns, got shape {x.shape}"
            )
        return {column.name: column.restore(x[:, j]) for j, column in enumerate(self.columns)}

    def to_entries(self) -> dict[str, Any]:
        """The schema as TOML and JSON hold it: what is not known or not said is left out."""
        columns = [
            {name: value for name, value in asdict(column).items() if value not in (None, "", ())}
            for column in self.columns
        ]
        for entries in columns:
            if "levels" in entries:
                entries["levels"] = list(entries["levels"])
        head = {"label": self.label, "label_levels": list(self.label_levels)} if self.label else {}
        return head | {"columns": columns, "dropped": dict(self.dropped)}

    def to_toml(self) -> str:
        """The schema as the text of a file that `from_toml` reads."""
        import tomli_w

        return tomli_w.dumps(self.to_entries())

    @classmethod
    def from_toml(cls, path: Path | str) -> "Schema":
        """Reads a file that `to_toml` gave, or one written by hand in the same words.

        Each of `[[columns]]` needs `name` and `kind`, those of levels `levels`, a bounded one `low`
        and `high`; all else may be left out.

        Raises:
            UsageError: No file, no TOML, or a key that is missing, unknown, or of another type.
        """
        import tomllib

        try:
            entries = tomllib.loads(read_bytes(path, "a schema").decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path} is not TOML: {error}") from None
        return cls.from_entries(entries, str(path))

    @classmethod
    def from_entries(cls, entries: dict[str, Any], what: str) -> "Schema":
        """The schema that `to_entries` gave.

        Args:
            entries: Its words.
            what: Where they are from, for errors.

        Raises:
            UsageError: A key that is missing, unknown, or of another type.
        """
        check_keys(entries, ("label", "label_levels", "columns", "dropped"), what)
        columns = entries.get("columns")
        if not isinstance(columns, list) or not columns:
            raise UsageError(f"{what}: expected columns, as [[columns]] with name and kind")
        made = tuple(_column(of, f"{what}: columns[{j}]") for j, of in enumerate(columns))
        dropped = entries.get("dropped", {})
        if not isinstance(dropped, dict) or not all(isinstance(v, str) for v in dropped.values()):
            raise UsageError(f"{what}: expected dropped as names with a reason each")
        label = checked(entries, "label", str, what) if "label" in entries else ""
        levels = texts_of(entries, "label_levels", what) if "label_levels" in entries else ()
        schema = cls(made, label, levels, tuple(dropped.items()))
        names = [*schema.names, *dropped, *([label] if label else [])]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"{what}: expected each column once, got {name!r} again")
        return schema


def check_amounts(schema: Schema | None, what: str) -> None:
    """Refuses levels under a likelihood that takes the numbers of all columns for amounts.

    Args:
        schema: The table's; None where there is none.
        what: What was asked for, in words.

    Raises:
        UsageError: Columns of more than two levels.
    """
    found = [c.name for c in schema.columns if len(c.levels) > 2] if schema is not None else []
    if found:
        named = ", ".join(map(repr, found[:3])) + (", ..." if len(found) > 3 else "")
        raise UsageError(
            f"expected likelihood='columns' for columns of levels ({named}), got {what}, "
            "which would take the numbers of their levels for amounts; leave them out, drop=[...] "
            "or --drop, or say what else they are"
        )


def _line(column: Column) -> tuple[str, str, str, str, str]:
    values = _listed(column.levels, " < " if column.kind == "ordinal" else ", ")
    low, high = column.least, column.greatest
    if column.kind == "bounded":
        low, high = column.low, column.high
    if not column.levelled:
        values = "" if low is None or high is None else f"{low:g} ... {high:g}"
        values += f" {column.unit}" if column.unit else ""
    guessed = f"guessed: {column.guessed}" if column.guessed else ""
    return column.name, column.kind, values, str(column.missing), guessed


def _listed(levels: tuple[str, ...], mark: str = ", ") -> str:
    shown = mark.join(levels[:_SHOWN])
    return f"{shown}{mark}... ({len(levels)} levels)" if len(levels) > _SHOWN else shown


def _column(entries: Any, what: str) -> Column:
    if not isinstance(entries, dict):
        raise UsageError(f"{what}: expected a table with name and kind, got {entries!r:.60}")
    types: dict[str, tuple[type, ...]] = {
        field.name: (float, int) if "float" in str(field.type) else (str,)
        for field in fields(Column)
    }
    types |= {"decimals": (int,), "missing": (int,)}
    check_keys(entries, types, what)
    given = {}
    for name in ("name", "kind", *entries):
        if name == "levels":
            given[name] = texts_of(entries, name, what)
        else:
            value = checked(entries, name, types[name], what)
            given[name] = float(value) if float in types[name] else value
    if given["kind"] not in KINDS:
        raise UsageError(f"{what}: {unknown('kind', given['kind'], KINDS)}")
    column = Column(**given)
    if column.dtype != "str" and not _is_dtype(column.dtype):
        raise UsageError(f"{what}: expected dtype as str, bool, int64, float64 or the like, got "
                         f"{column.dtype!r:.40}")  # fmt: skip
    needed = 2 if column.levelled else 0
    if len(column.levels) < needed or (column.kind == "binary" and len(column.levels) != 2):
        raise UsageError(f"{what}: expected levels of a {column.kind} column, got {column.levels}")
    if column.kind == "bounded" and not (
        column.low is not None and column.high is not None and column.low < column.high
    ):
        raise UsageError(f"{what}: expected low < high of a bounded column")
    return column


def _is_dtype(name: str) -> bool:
    try:
        return np.dtype(name).kind in "biuf"
    except TypeError:
        return False
