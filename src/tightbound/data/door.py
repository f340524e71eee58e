"""The one door for data: whatever holds numbers becomes an array of them, and holes become NaN."""

import os
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from tightbound.core.errors import UsageError
from tightbound.data.check import check_table, check_values
from tightbound.data.frames import from_arrow, from_pandas, from_polars
from tightbound.data.numbers import from_objects, no_numbers, to_double
from tightbound.data.precision import rounded
from tightbound.data.schema import Schema
from tightbound.data.sequences import is_ragged, padded
from tightbound.data.table import Refused, Table, Words

DataLike = Any
"""What holds numbers: arrays of NumPy or JAX, masked arrays, nested lists, frames and series of
pandas or polars, Arrow tables, any object with `__array__`, and lists of sequences of different
lengths, which are padded with NaN."""

_READERS = {"pandas": from_pandas, "polars": from_polars, "pyarrow": from_arrow}


class Values(NamedTuple):
    """Numbers of n items, one an entry of the first axis, and what is known of them.

    Attributes:
        x: The numbers, of a real type; holes are NaN.
        columns: The names of the columns of a table; empty where there are none.
        rows: The names of the items, such as a frame's index; empty where there are none.
        notes: What was converted or set apart.
        full_scale: What the numbers are to be divided by; None where the type must tell.
        schema: What the columns of a table are, where it was asked for.
        labels: The label of each row, from 0, and -1 where it is missing; None where there is none.
    """

    x: Shaped[np.ndarray, "n *item"]
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    full_scale: float | None = None
    schema: Schema | None = None
    labels: Shaped[np.ndarray, " n"] | None = None


def as_values(values: DataLike, what: str, dtype: Any = np.float32) -> Values:
    """Takes data in any form, of items of any shape, as floating-point numbers.

    Args:
        values: The data.
        what: What they are, for errors.
        dtype: float32 (the models' precision) or float64.

    Raises:
        UsageError: No numbers, or numbers that the precision cannot tell apart or reach.
    """
    found = as_array(values, what)
    return found._replace(x=rounded(found.x, dtype, what, found.columns))


def as_table(
    values: DataLike, what: str, *, support: str = "real", dtype: Any = np.float32
) -> Float[np.ndarray, "n d"]:
    """Takes data in any form that a model is to see: of shape (n, d), without holes.

    Args:
        values: The data.
        what: What they are, for errors.
        support: Where they must lie, as for `check_values`.
        dtype: float32 or float64.

    Raises:
        UsageError: As for `as_values` and `check_values`.
    """
    found = as_values(values, what, dtype)
    check_table(found.x, what)
    check_values(found.x, support, what, found.columns)
    return found.x


def as_array(values: DataLike, what: str) -> Values:
    """Takes data in any form with the type of their numbers kept (floating-point for holes).

    Raises:
        UsageError: No numbers: says what came, and for a table in which column.
    """
    if isinstance(values, Values):
        return values
    if isinstance(values, str | bytes | os.PathLike):
        raise UsageError(
            f"{what}: expected an array or a table, got the text {str(values)[:80]!r}; read a file "
            "by tightbound.data.load or tightbound.data.load_items"
        )
    table = as_frame(values, what)
    if table is not None:
        return from_table(table)
    if isinstance(values, np.ma.MaskedArray):
        return Values(_unmasked(values, what))
    return Values(_real(_as_numpy(values, what), what))


def as_frame(values: DataLike, what: str) -> Table | None:
    """The table that a frame or series of pandas or polars, or an Arrow table, is; else None.

    Raises:
        UsageError: Another object of these packages.
    """
    origins = {kind.__module__.partition(".")[0] for kind in type(values).__mro__}
    found = next((read for origin, read in _READERS.items() if origin in origins), None)
    return None if found is None else found(values, what)


def from_table(table: Table) -> Values:
    """A table's columns side by side; never scaled.

    Raises:
        UsageError: A column that holds no numbers.
    """
    columns = [_numbers(table, j) for j in range(len(table.columns))]
    kinds = {column.dtype for column in columns}
    if len(kinds) > 1:
        columns = [
            to_double(column, f"{table.what}: column {name!r}")
            for column, name in zip(columns, table.names, strict=True)
        ]
    x = np.stack(columns, axis=1) if columns else np.zeros((0, 0))
    counting = tuple(
        f"column {name!r} does no more than count the rows"
        for name, column in zip(table.names, columns, strict=True)
        if _counts(column)
    )
    return Values(x, table.names, table.rows, table.notes + counting, full_scale=1.0)


def _numbers(table: Table, j: int) -> np.ndarray:
    column = table.columns[j]
    if isinstance(column, Refused):
        raise column.error
    if isinstance(column, Words):
        known = [text for text in column.texts if text is not None]
        hint = "; tightbound.data.load makes numbers of levels"
        raise no_numbers(f"{table.what}: column {table.names[j]!r}", column.kind, known, hint)
    return column


def _counts(column: np.ndarray) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..., as numbers of rows are."""
    n = len(column)
    return n >= 10 and column[0] in (0, 1) and np.array_equal(column, column[0] + np.arange(n))


def _as_numpy(values: Any, what: str) -> np.ndarray:
    """The array that an object holds, of any type."""
    known = isinstance(values, list | tuple | np.ndarray | np.generic | int | float)
    if not known and not hasattr(values, "__array__"):
        hint = "; pass its .toarray()" if hasattr(values, "toarray") else ""
        hint = hint or ("; pass a part of it, such as .train" if hasattr(values, "train") else "")
        raise UsageError(
            f"{what}: expected an array or a table of numbers, got {type(values).__name__}{hint}"
        )
    try:
        array = np.asarray(values)
    except Exception as error:  # the object's own code runs here
        if is_ragged(values):
            return padded(values, what)
        reason = "rows of unequal length" if "inhomogeneous" in str(error) else _line(error)
        raise UsageError(
            f"{what}: expected an array or a table of numbers, got {type(values).__name__} "
            f"which does not become an array ({reason})"
        ) from None
    if array.ndim == 0:
        raise UsageError(
            f"{what}: expected shape (n, d), got (), the single value {str(array)[:40]}"
        )
    return array


def _real(array: np.ndarray, what: str) -> np.ndarray:
    """Real numbers in the machine's byte order; other types are refused."""
    if array.dtype.kind == "O":
        return from_objects(array, what)
    if array.dtype.type.__module__.startswith("ml_dtypes"):  # bfloat16 and smaller
        return array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise UsageError(
            f"{what}: expected real numbers, got an array of type {array.dtype}; convert it first, "
            "for example with .astype('float32')"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _unmasked(values: np.ma.MaskedArray, what: str) -> np.ndarray:
    mask = np.ma.getmaskarray(values)
    if values.ndim == 0 or values.dtype.names is not None:
        return _real(_as_numpy(np.ma.getdata(values), what), what)
    if not mask.any():
        return _real(np.ma.getdata(values), what)
    # What lies under the mask may be anything, even too large for the type it becomes.
    array = _real(np.where(mask, np.zeros((), values.dtype), np.ma.getdata(values)), what)
    array = array if array.dtype.kind == "f" else to_double(array, what)
    return np.where(mask, array.dtype.type(np.nan), array)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
