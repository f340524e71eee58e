"""Tables of numbers: comma-separated text and Parquet. A cell that is no number is named."""

import array
import csv
import math
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Float64

from tightbound.errors import UsageError

_MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
_NO_MISSING = "missing data are not supported yet: fill or drop such rows"


def read_csv(path: Path) -> Float64[np.ndarray, "n d"]:
    """Reads a table of numbers with or without a header line.

    The first line is a header when none of its cells is a number, or when its four or more cells
    count 0, 1, 2, ... as column names often do. Cells are separated by tabs or semicolons where
    the first line has any, else by commas.

    Raises:
        UsageError: Not text, no rows, rows of unequal length, or a cell that is missing or no
            number: its row (from 0, the header not counted), line and column name are given.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            return _read_rows(handle, str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: expected comma-separated text in UTF-8 ({error})") from None


def _read_rows(text: TextIO, where: str) -> Float64[np.ndarray, "n d"]:
    first = next((line for line in text if line.strip()), "")
    text.seek(0)
    delimiter = next((mark for mark in "\t;" if mark in first), ",")
    reader = csv.reader(text, delimiter=delimiter)
    values = array.array("d")
    names: list[str] = []
    n = 0
    for cells in reader:
        if not any(cells) and len(cells) <= 1:
            continue  # an empty line
        if not names:
            counted = [str(j) for j in range(len(cells))]
            header = not any(map(_is_number, cells)) or (len(cells) >= 4 and cells == counted)
            names = cells if header else counted
            if header:
                continue
        values.extend(_numbers(cells, names, f"{where}: row {n} (line {reader.line_num})"))
        n += 1
    if not n:
        raise UsageError(f"{where}: expected at least one row of numbers, got none")
    return np.array(values).reshape(n, len(names))


def _numbers(cells: list[str], names: list[str], where: str) -> list[float]:
    if len(cells) != len(names):
        raise UsageError(f"{where}: expected {len(names)} cells, got {len(cells)}")
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = []
    if numbers and all(map(math.isfinite, numbers)) and "_" not in "".join(cells):
        return numbers
    for name, cell in zip(names, cells, strict=True):
        if cell.strip().lower() in _MISSING:
            raise UsageError(f"{where}, column {name!r} is missing ({cell!r}); {_NO_MISSING}")
        if not _is_number(cell) or not math.isfinite(float(cell)):
            raise UsageError(f"{where}, column {name!r}: expected a finite number, got {cell!r}")
    return numbers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def read_parquet(path: Path) -> Float64[np.ndarray, "n d"]:
    """Reads a table whose columns are all numbers.

    Raises:
        UsageError: pyarrow is not installed, no Parquet file, a column that is not of numbers, or
            a missing or infinite cell: its row (from 0) and column name are given.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            f'{path}: reading Parquet needs pyarrow; pip install "tightbound[parquet]"'
        ) from None
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UsageError(f"{path}: expected a Parquet file, got damaged data ({error})") from None
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_numpy()
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy()))
            raise UsageError(f"{path}: row {row}, column {name!r} is missing; {_NO_MISSING}")
        if values.dtype.kind not in "biuf":
            raise UsageError(f"{path}: expected numbers in column {name!r}, got {column.type}")
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise UsageError(
                f"{path}: row {row}, column {name!r}: expected a finite number, got {values[row]}"
            )
        columns.append(values.astype(np.float64))
    if not columns or not len(columns[0]):
        raise UsageError(f"{path}: expected at least one row and one column, got none")
    return np.stack(columns, axis=1)
