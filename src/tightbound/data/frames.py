"""Frames and series of pandas and polars, and Arrow tables, column by column.

None of these packages is needed: an object of theirs brings its package along.
"""

import json
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from tightbound.core.errors import UsageError
from tightbound.data.numbers import from_objects, no_numbers, to_double

Column = Shaped[np.ndarray, " n"]
_UNNAMED_INDEX = "__index_level_"


class Table(NamedTuple):
    """Columns of numbers, in which holes are NaN, and their names.

    Attributes:
        columns: One array a column.
        names: The columns' names.
        rows: The rows' names; empty where they only count.
        notes: What was set apart.
        what: What the table is, for errors.
    """

    columns: list[Column]
    names: tuple[str, ...]
    rows: tuple[str, ...]
    notes: tuple[str, ...]
    what: str


def from_pandas(frame: Any, what: str) -> Table:
    """A DataFrame, or a Series as one column; the index names the rows and is no column.

    Raises:
        UsageError: Another object of pandas, or a column that holds no numbers.
    """
    if not hasattr(frame, "iloc"):
        raise UsageError(f"{what}: expected a DataFrame, got {type(frame).__name__}")
    frame = frame.to_frame() if frame.ndim == 1 else frame
    names = tuple(str(name) for name in frame.columns)
    columns = [_pandas_column(frame.iloc[:, j], what, name) for j, name in enumerate(names)]
    index = frame.index
    counted = type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)
    rows = () if counted else tuple(str(name) for name in index)
    return Table(columns, names, rows, _index_note(rows, "the index"), what)


def _pandas_column(series: Any, what: str, name: str) -> Column:
    dtype, where = series.dtype, f"{what}: column {name!r}"
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, np.dtype) and kind in "biuf":
        return series.to_numpy()
    if str(dtype) == "object":
        return from_objects(series.to_numpy(), where)
    if str(dtype).startswith("decimal"):
        return from_objects(series.to_numpy(dtype=object), where)
    if kind not in "biuf":
        raise no_numbers(where, str(dtype), series.dropna().unique()[:4].tolist())
    plain = getattr(dtype, "numpy_dtype", None) or getattr(dtype, "subtype", np.dtype(np.float64))
    missing = series.isna().to_numpy(dtype=bool)
    if not missing.any():
        return series.to_numpy(dtype=plain)
    column = np.full(len(series), np.nan)
    column[~missing] = to_double(series[~missing].to_numpy(dtype=plain), where)
    return column


def from_polars(frame: Any, what: str) -> Table:
    """A DataFrame, or a Series as one column.

    Raises:
        UsageError: Another object of polars, or a column that holds no numbers.
    """
    if hasattr(frame, "collect"):
        raise UsageError(f"{what}: expected a DataFrame, got a LazyFrame; pass its .collect()")
    if hasattr(frame, "to_frame"):
        frame = frame.to_frame()
    if not hasattr(frame, "get_columns"):
        raise UsageError(f"{what}: expected a DataFrame, got {type(frame).__name__}")
    columns = [_polars_column(series, what) for series in frame.get_columns()]
    return Table(columns, tuple(frame.columns), (), (), what)


def _polars_column(series: Any, what: str) -> Column:
    import polars

    where = f"{what}: column {series.name!r}"
    dtype = series.dtype
    if not dtype.is_numeric() and dtype not in (polars.Boolean, polars.Null):
        examples = series.drop_nulls().unique(maintain_order=True).head(4).to_list()
        raise no_numbers(where, str(dtype).lower(), examples)
    missing = series.is_null().to_numpy()
    known = series.drop_nulls()
    # Types that NumPy has not: integers of 128 bits and decimal fractions come as objects.
    plain = known.cast(polars.Float64) if dtype == polars.Null else known
    array = np.asarray(plain.to_list(), object) if dtype.is_decimal() else plain.to_numpy()
    array = from_objects(array, where) if array.dtype.kind == "O" else array
    if not missing.any():
        return array
    column = np.full(len(series), np.nan)
    column[~missing] = to_double(array, where)
    return column


def from_arrow(table: Any, what: str) -> Table:
    """An Arrow table; what pandas wrote down as its index names the rows and is no column.

    Raises:
        UsageError: Another object of Arrow, or a column that holds no numbers.
    """
    if not hasattr(table, "column_names"):
        raise UsageError(f"{what}: expected a table, got {type(table).__name__} of Arrow")
    index = _pandas_index(table.schema.metadata, table.column_names)
    rows: tuple[str, ...] = ()
    names, columns = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name not in index:
            names.append(name)
            columns.append(_arrow_column(column, what, name))
        elif not rows:
            rows = tuple(str(value) for value in column.to_pylist())
        else:  # an index of several levels
            pairs = zip(rows, column.to_pylist(), strict=True)
            rows = tuple(f"{row}, {value}" for row, value in pairs)
    named = " and ".join(repr(name) for name in table.column_names if name in index)
    return Table(columns, tuple(names), rows, _index_note(rows, f"the index column {named}"), what)


def _arrow_column(column: Any, what: str, name: str) -> Column:
    import pyarrow

    types, where = pyarrow.types, f"{what}: column {name!r}"
    kind = column.type
    if types.is_decimal(kind) or types.is_null(kind):
        return from_objects(np.array([*column.to_pylist(), None], object)[:-1], where)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        text = "text" if types.is_string(kind) or types.is_large_string(kind) else str(kind)
        raise no_numbers(where, text, column.slice(0, 1000).drop_null().to_pylist())
    if not column.null_count:
        return column.to_numpy()
    missing = column.is_null().to_numpy()
    known = np.full(len(column), np.nan)
    known[~missing] = to_double(column.drop_null().to_numpy(), where)
    return known


def _pandas_index(metadata: dict[bytes, bytes] | None, names: list[str]) -> set[str]:
    """The columns that pandas wrote its index into."""
    found = {name for name in names if name.startswith(_UNNAMED_INDEX)}
    try:
        listed = json.loads((metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError, RecursionError):  # of another program, or damaged
        return found
    return found | {name for name in listed if isinstance(name, str) and name in names}


def _index_note(rows: tuple[str, ...], which: str) -> tuple[str, ...]:
    return (f"{which} names the rows and is not a column",) if rows else ()
