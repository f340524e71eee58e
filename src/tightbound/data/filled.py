"""A table given back as it came with its holes filled: frames as frames, files byte for byte."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.data.coded import by_schema
from tightbound.data.declared import Declared
from tightbound.data.door import DataLike, as_frame
from tightbound.data.filled_text import fill_text
from tightbound.data.readers import TEXT
from tightbound.data.readers.parquet import parquet_bytes, parse_parquet, read_parquet
from tightbound.data.readers.raw import first_line, read_whole, shown
from tightbound.data.readers.text import parse_text
from tightbound.data.schema import Schema
from tightbound.data.table import Table, level_text


def fill(source: DataLike, x: Float[np.ndarray, "n d"], schema: Schema) -> Any:
    """A frame like `source` in which holes of the schema's columns are filled.

    All else is the source's: the values that are known, types, categories, order, index, and the
    columns that the schema does not have. What `x` has at known values is not looked at.

    Args:
        source: A DataFrame of pandas or polars, or an Arrow table.
        x: As the schema's columns are coded, a row for each of the source's; NaN leaves a hole.
        schema: As `load` gave it.

    Raises:
        UsageError: Another object, other rows, or values that the schema does not allow.
    """
    table = as_frame(source, "array")
    if table is None or not hasattr(source, "columns"):
        raise UsageError(
            f"expected a DataFrame or an Arrow table to be filled, got {type(source).__name__}; "
            "schema.restore(x) gives columns of their own, and write_filled fills files"
        )
    values = _values(table, x, schema)
    origin = type(source).__module__.partition(".")[0]
    filled = source
    for name, found in values.items():
        try:
            filled = _FRAMES[origin](filled, name, found)
        except Exception as error:  # of another package, whose types are stricter than ours
            raise UsageError(
                f"column {name!r}: its type does not take {next(iter(found.values()))!r:.60}, a "
                f"value of the schema ({first_line(error)})"
            ) from None
    return filled


def write_filled(
    path: str | os.PathLike[str],
    source: str | os.PathLike[str],
    x: Float[np.ndarray, "n d"],
    schema: Schema,
    *,
    header: bool | None = None,
) -> None:
    """Writes a table's file again with its holes filled, whole or not at all.

    A text keeps every byte but those of the cells that were holes: separators, quotes, line ends,
    comments. Numbers are written with the decimal places and the decimal sign of their column.

    Args:
        path: The new file, of the same suffix.
        source: The table's file (.csv, .tsv, .data, .txt, .parquet).
        x: As for `fill`.
        schema: As `load` gave it.
        header: As for `load`.

    Raises:
        UsageError: Another suffix, as for `fill`, or cells whose ends quotes do not tell.
    """
    old, new = Path(source), Path(path)
    suffix, what = old.suffix.lower(), shown(old)
    if new.suffix.lower() != suffix or suffix not in (*TEXT, ".parquet"):
        raise UsageError(
            f"expected one of {', '.join((*TEXT, '.parquet'))}, the same for {what} and for the "
            f"filled file, got {suffix or 'none'} and {new.suffix or 'none'}"
        )
    content = read_whole(old)
    if suffix == ".parquet":
        if header is not None:
            raise UsageError(f"{what}: header= is for tables in text ({', '.join(TEXT)})")
        _values(parse_parquet(content, what), x, schema)  # which names the file in errors
        write_atomic(new, parquet_bytes(fill(read_parquet(content, what), x, schema)))
        return
    said = Declared(schema=schema)
    table = parse_text(content, what, suffix=suffix, header=header, texts=said.texts)
    texts = {
        name: {row: _written(value, schema.column(name).decimals) for row, value in found.items()}
        for name, found in _values(table, x, schema).items()
    }
    filled = fill_text(content, what, suffix, table, texts)
    _check_read_alike(filled, table, suffix, said)
    write_atomic(new, filled)


def _check_read_alike(filled: bytes, table: Table, suffix: str, said: Declared) -> None:
    """Refuses a filled text that would be read as another table.

    Raises:
        UsageError: Few lines or cells without quotes, from which separators are told otherwise.
    """
    assert said.schema is not None
    known = by_schema(table, said.schema).x
    try:
        again = parse_text(filled, table.what, suffix=suffix, header=table.headed, texts=said.texts)
        found = by_schema(again, said.schema).x
    except UsageError:
        found = np.zeros(0)
    if found.shape != known.shape or not np.array_equal(
        np.where(np.isnan(known), np.nan, found), known, equal_nan=True
    ):
        raise UsageError(
            f"{table.what}: with its holes filled it would be read as another table, since what "
            "separates its cells is not clear; write it with commas and quotes, and fill that"
        )


def _values(table: Table, x: np.ndarray, schema: Schema) -> dict[str, dict[int, Any]]:
    """What fills each column's holes, by their rows."""
    known = by_schema(table, schema).x
    x = np.asarray(x)
    if x.shape != known.shape:
        raise UsageError(f"{table.what}: expected x of shape {known.shape}, got {x.shape}")
    holes = np.isnan(known) & ~np.isnan(x)
    return {
        column.name: dict(
            zip(
                np.flatnonzero(holes[:, j]).tolist(),
                column.restore(x[holes[:, j], j]).tolist(),
                strict=True,
            )
        )
        for j, column in enumerate(schema.columns)
        if holes[:, j].any()
    }


def _written(value: Any, decimals: int | None) -> str:
    """A value as a cell of a text."""
    if isinstance(value, float) and decimals is not None:
        return f"{value:.{decimals}f}"
    return str(np.float32(value)) if isinstance(value, float) else level_text(value)


def _pandas(frame: Any, name: str, found: dict[int, Any]) -> Any:
    filled = frame.copy()
    j = [str(other) for other in frame.columns].index(name)
    series = frame.iloc[:, j].copy()
    new = list(found.values())
    categories = getattr(series.dtype, "categories", None)
    if categories is not None:
        own = {level_text(level): level for level in categories}
        lacking = [text for text in dict.fromkeys(map(level_text, new)) if text not in own]
        series = series.cat.add_categories(lacking)
        new = [own.get(level_text(value), value) for value in new]
    series.iloc[list(found)] = new
    filled.isetitem(j, series)
    return filled


def _polars(frame: Any, name: str, found: dict[int, Any]) -> Any:
    import polars

    series = frame.get_column(name)
    cells = series.to_list()
    for row, value in found.items():
        cells[row] = value
    return frame.with_columns(polars.Series(name, cells, dtype=series.dtype, strict=True))


def _arrow(table: Any, name: str, found: dict[int, Any]) -> Any:
    import pyarrow

    j = table.column_names.index(name)
    field = table.schema.field(j)
    cells = table.column(j).to_pylist()
    for row, value in found.items():
        cells[row] = value
    if not pyarrow.types.is_dictionary(field.type):
        return table.set_column(j, field, pyarrow.array(cells, field.type))
    # With all levels that it had, in their order.
    own = table.column(j).unify_dictionaries().chunk(0).dictionary.to_pylist()
    levels = list(dict.fromkeys([*own, *(cell for cell in cells if cell is not None)]))
    places = [None if cell is None else levels.index(cell) for cell in cells]
    column = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(places, field.type.index_type),
        pyarrow.array(levels, field.type.value_type),
        ordered=field.type.ordered,
    )
    return table.set_column(j, field, column)


_FRAMES = {"pandas": _pandas, "polars": _polars, "pyarrow": _arrow}
"""What fills one column, by the package."""
