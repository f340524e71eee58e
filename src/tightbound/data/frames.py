"""Frames and series of pandas and polars, and Arrow tables, column by column.

None of these packages is needed: an object of theirs brings its package along.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.numbers import from_objects, no_numbers, to_double
from tightbound.data.table import Column, Refused, Table, Words, level_text

_UNNAMED_INDEX = "__index_level_"
_NAMES = {"bool", "float16", "float32", "float64"}
_NAMES |= {f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)}


def from_pandas(frame: Any, what: str) -> Table:
    """A DataFrame, or a Series as one column; the index names the rows and is no column.

    Raises:
        UsageError: Another object of pandas.
    """
    if not hasattr(frame, "iloc"):
        raise UsageError(f"{what}: expected a DataFrame, got {type(frame).__name__}")
    frame = frame.to_frame() if frame.ndim == 1 else frame
    names = tuple(str(name) for name in frame.columns)
    series = [frame.iloc[:, j] for j in range(len(names))]
    columns = [_read(_pandas_column, of, f"{what}: column {name!r}")
               for of, name in zip(series, names, strict=True)]  # fmt: skip
    index = frame.index
    counted = type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)
    rows = () if counted else tuple(str(name) for name in index)
    dtypes = tuple(_plain(of) for of in series)
    return Table(columns, names, rows, _index_note(rows, "the index"), what, dtypes)


def _read(column: Callable[[Any, str], Column], of: Any, where: str) -> Column:
    """A column, or what refuses it where it is used."""
    try:
        return column(of, where)
    except UsageError as error:
        return Refused(error)


def _plain(series: Any) -> str:
    """NumPy's name of a type of pandas; that of floats for what has none."""
    dtype = series.dtype
    if str(dtype) == "object" and all(isinstance(value, bool) for value in series.dropna()):
        return "bool" if series.notna().any() else "float64"
    plain = getattr(dtype, "numpy_dtype", None) or getattr(dtype, "subtype", dtype)
    kind = getattr(plain, "kind", "O")
    return str(plain) if isinstance(plain, np.dtype) and kind in "biuf" else "float64"


def _words(values: Iterable[Any], kind: str) -> Words | None:
    """A column of texts among which None is a hole; None where other values are there too."""
    texts = list(values)
    known = [text for text in texts if text is not None]
    if not known or not all(isinstance(text, str) for text in known):
        return None
    return Words(texts, kind=kind)


def _levelled(values: list[Any], levels: list[Any], kind: str, *, ordered: bool) -> Words:
    """A column of a categorical type, whose levels may be numbers."""
    named = np.asarray(levels)
    dtype = named.dtype.name if levels and named.dtype.kind in "biuf" else "str"
    texts = [None if value is None else level_text(value) for value in values]
    return Words(texts, tuple(map(level_text, levels)), ordered, dtype, kind)


def _pandas_column(series: Any, where: str) -> Column:
    dtype: Any = series.dtype
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, np.dtype) and kind in "biuf":
        return series.to_numpy()
    missing = series.isna().to_numpy(dtype=bool)
    categories = getattr(dtype, "categories", None)
    if categories is not None:
        levels = categories.tolist()
        codes = series.cat.codes.to_list()
        values = [None if code < 0 else levels[code] for code in codes]
        return _levelled(values, levels, str(dtype), ordered=bool(getattr(dtype, "ordered", False)))
    if str(dtype) in ("object", "str", "string"):
        values = series.to_numpy(dtype=object)
        held = [None if none else value for none, value in zip(missing, values, strict=True)]
        words = _words(held, str(dtype))
        return from_objects(values, where) if words is None else words
    if str(dtype).startswith("decimal"):
        return from_objects(series.to_numpy(dtype=object), where)
    if kind not in "biuf":
        raise no_numbers(where, str(dtype), series.dropna().unique()[:4].tolist())
    plain = getattr(dtype, "numpy_dtype", None) or getattr(dtype, "subtype", np.dtype(np.float64))
    if not missing.any():
        return series.to_numpy(dtype=plain)
    column = np.full(len(series), np.nan)
    column[~missing] = to_double(series[~missing].to_numpy(dtype=plain), where)
    return column


def from_polars(frame: Any, what: str) -> Table:
    """A DataFrame, or a Series as one column.

    Raises:
        UsageError: Another object of polars.
    """
    if hasattr(frame, "collect"):
        raise UsageError(f"{what}: expected a DataFrame, got a LazyFrame; pass its .collect()")
    if hasattr(frame, "to_frame"):
        frame = frame.to_frame()
    if not hasattr(frame, "get_columns"):
        raise UsageError(f"{what}: expected a DataFrame, got {type(frame).__name__}")
    columns = [_read(_polars_column, series, f"{what}: column {series.name!r}")
               for series in frame.get_columns()]  # fmt: skip
    dtypes = tuple(_numpy_name(str(dtype)) for dtype in frame.dtypes)
    return Table(columns, tuple(frame.columns), (), (), what, dtypes)


def _numpy_name(dtype: str) -> str:
    """NumPy's name of a number's type in polars or Arrow; that of floats for what has none."""
    ours = {"boolean": "bool", "double": "float64", "float": "float32", "halffloat": "float16"}
    name = ours.get(dtype.lower(), dtype.lower())
    return name if name in _NAMES else "float64"


def _polars_column(series: Any, where: str) -> Column:
    import polars

    dtype = series.dtype
    if dtype in (polars.String, polars.Categorical, polars.Enum):
        levels = tuple(getattr(dtype, "categories", ())) if dtype == polars.Enum else ()
        texts = series.cast(polars.String).to_list()
        return Words(texts, levels, kind=str(dtype).lower()[:40])
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
        UsageError: Another object of Arrow.
    """
    if not hasattr(table, "column_names"):
        raise UsageError(f"{what}: expected a table, got {type(table).__name__} of Arrow")
    index = _pandas_index(table.schema.metadata, table.column_names)
    rows: tuple[str, ...] = ()
    names, columns, dtypes = [], [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name not in index:
            names.append(name)
            columns.append(_read(_arrow_column, column, f"{what}: column {name!r}"))
            dtypes.append(_numpy_name(str(column.type)))
        elif not rows:
            rows = tuple(str(value) for value in column.to_pylist())
        else:  # an index of several levels
            pairs = zip(rows, column.to_pylist(), strict=True)
            rows = tuple(f"{row}, {value}" for row, value in pairs)
    named = " and ".join(repr(name) for name in table.column_names if name in index)
    note = _index_note(rows, f"the index column {named}")
    return Table(columns, tuple(names), rows, note, what, tuple(dtypes))


def _arrow_column(column: Any, where: str) -> Column:
    import pyarrow

    types = pyarrow.types
    kind = column.type
    if types.is_dictionary(kind):
        levels = column.unify_dictionaries().chunk(0).dictionary.to_pylist() if len(column) else []
        if None not in levels:
            plain = column.cast(kind.value_type).to_pylist()
            return _levelled(plain, levels, str(kind), ordered=kind.ordered)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if is_text:
        return Words(column.to_pylist())
    if types.is_decimal(kind) or types.is_null(kind):
        return from_objects(np.array([*column.to_pylist(), None], object)[:-1], where)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        examples = column.slice(0, 1000).drop_null().to_pylist()
        raise no_numbers(where, "text" if is_text else str(kind), examples)
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
