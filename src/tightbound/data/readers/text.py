"""Tables in text: separated by commas, semicolons, tabs or white space."""

import csv
import re
from array import array
from collections.abc import Collection, Mapping
from itertools import chain, islice

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.readers.cells import Cells, Record, with_point
from tightbound.data.readers.header import decide, decide_words, names_columns
from tightbound.data.readers.layout import USUAL, WHITE, WORDS, Layout, find_layout
from tightbound.data.readers.raw import first_line
from tightbound.data.table import Column, Table, is_number

_UNNAMED = ("", "Unnamed: 0")  # how pandas and R head the names of rows
_PLACES = re.compile(r"\d*[.,](\d+)")
_MOST_PLACES = 9
_LARGEST = 2.0**53  # beyond it, numbers are not written out
_LOOKED_AT = 1000  # rows in which decimal places are counted as they are written


def parse_text(
    content: bytes,
    what: str,
    *,
    suffix: str,
    header: bool | None,
    texts: Mapping[str, Collection[str]] | None = None,
) -> Table:
    """Reads a table with or without a line of names; missing cells are NaN, or None in words.

    A column is one of words where most of its cells are no numbers. The names of rows, in a first
    column without a name of its own, are no column. Lines above the table that begin with # are
    left out.

    Args:
        content: The file's bytes, text in UTF-8.
        what: The file, for errors.
        suffix: Of its name; where it is usual for another separator, a note says so.
        header: Whether the first line names the columns; None: the lines must tell.
        texts: Columns whose numbers are words too, kept as they are written, by name, with levels
            that are none of those that stand for a hole.

    Raises:
        UsageError: Not text, no rows, rows of unequal length, or a first line that may be either.
            What no column of a model may be stands in its place as `Refused`, such as one of
            numbers with a cell that is none: its row (from 0, the names not counted), line and
            column name are given.
    """
    try:
        text = content.decode("utf-8-sig")
        layout = find_layout(text, suffix)
        records = list(islice(layout.records(text), 2))
        if not records:
            raise _no_rows(what)
        top = header
        if header is None:
            first = [with_point(cell) for cell in records[0][1]]
            top = names_columns(first, records[1][1] if len(records) > 1 else None)
        clear = header is None and top
        found, top = _numbers(text, what, layout, top=top)
        if clear and found is not None and any(map(is_number, found.names)):
            note = "the first line names the columns; header=False makes it a row"
            found = found._replace(notes=(*found.notes, note))
        if found is None:
            found = _mixed(text, what, layout, texts or {}, header=header, top=top)
        elif texts:
            notes = found.notes
            found = _mixed(text, what, layout, texts, header=top, top=top)
            found = found._replace(notes=tuple(dict.fromkeys((*notes, *found.notes))))
        return _finished(found, text, layout, suffix, records)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{what}: expected comma-separated text in UTF-8 ({first_line(error)})"
        ) from None


def body_of(records: list[Record], layout: Layout, *, top: bool) -> tuple[list[str], bool, int]:
    """The columns' names, whether a first column names the rows, and how many lines are above.

    Args:
        records: The first two at least, if there are as many.
        layout: The table's.
        top: Whether the first line names the columns.
    """
    first = records[0][1]
    if not top:
        return [str(j) for j in range(len(first))], False, 0
    # R heads no column of row names at all.
    by_r = layout.separator in (WHITE, "\t") and len(records) > 1
    row = records[1][1] if by_r else first
    unheaded = len(first) == len(row) - 1 and row[-1].strip() != ""
    names = ["", *first] if unheaded else first
    indexed = len(names) > 1 and names[0].strip() in _UNNAMED
    return names[1:] if indexed else names, indexed, 1


def _numbers(
    text: str, what: str, layout: Layout, *, top: bool | None
) -> tuple[Table | None, bool | None]:
    """A table of numbers alone, read without keeping its cells; None where a cell is none.

    And whether its first line names the columns, which its numbers tell where that was not clear.
    """
    records = layout.records(text)
    begin = list(islice(records, 2))
    names, indexed, above = body_of(begin, layout, top=top is not False)
    cells_of = Cells(names, what)
    rows: list[str] = []
    values = array("d")
    n = 0
    for line, cells in chain(begin[above:], records):
        where = f"row {n} (line {line})"
        _check_width(cells, names, what, where, indexed=indexed)
        if indexed:
            rows.append(cells[0].strip())
        try:
            values.extend(cells_of.numbers(cells[indexed:], where))
        except UsageError:
            return None, top
        n += 1
    x = np.array(values).reshape(n, len(names))
    if not n and top is not None:
        raise _no_rows(what)
    notes = cells_of.notes()
    is_header = top is not False
    if top is None:
        counts = np.array([float(with_point(name)) for name in names])
        is_header, note = decide(counts, x, what)
        notes += (note,)
        if not is_header:
            if indexed:
                raise UsageError(f"{what}: {note}, but one without a name; pass header=True")
            x = np.concatenate([counts[None], x])
            names = [str(j) for j in range(len(names))]
    table = Table(list(x.T), tuple(names), tuple(rows), notes, what, headed=is_header)
    return table, is_header


def _mixed(
    text: str,
    what: str,
    layout: Layout,
    texts: Mapping[str, Collection[str]],
    *,
    header: bool | None,
    top: bool | None,
) -> Table:
    """A table of numbers and words, or one that is refused."""
    records = list(layout.records(text))
    notes: tuple[str, ...] = ()
    first = records[0][1]
    if header is None and not (top and any(map(is_number, first))):
        rest = [cells for _, cells in records[1:] if len(cells) >= len(first)]
        shift = 1 if rest and len(rest[0]) == len(first) + 1 and rest[0][-1].strip() else 0
        columns = zip(*rest, strict=False)
        below = [[with_point(cell) for cell in cells] for cells in columns]
        below = below[shift : shift + len(first)] or [[] for _ in first]
        plain = [with_point(cell) for cell in first]
        top, note = decide_words(plain, below, what)
        notes += (note,) if note else ()
    names, indexed, above = body_of(records, layout, top=top is not False)
    body = records[above:]
    if not body:
        raise _no_rows(what)
    wheres = [f"row {n} (line {line})" for n, (line, _) in enumerate(body)]
    for where, (_, cells) in zip(wheres, body, strict=True):
        _check_width(cells, names, what, where, indexed=indexed)
    rows = tuple(cells[0].strip() for _, cells in body) if indexed else ()
    cells_of = Cells(names, what)
    columns = [
        cells_of.column(
            j,
            [cells[j + indexed] for _, cells in body],
            wheres,
            levels=texts.get(name.strip()),
        )
        for j, name in enumerate(names)
    ]
    lines = array("q", [line for line, _ in body])
    notes = cells_of.notes() + notes + tuple(cells_of.said)
    return Table(columns, tuple(names), rows, notes, what, lines=lines, headed=above > 0)


def _no_rows(what: str) -> UsageError:
    return UsageError(f"{what}: expected at least one row of numbers, got none")


def _check_width(
    cells: list[str], names: list[str], what: str, where: str, *, indexed: bool
) -> None:
    if len(cells) != len(names) + indexed:
        raise UsageError(
            f"{what}: {where}: expected {len(names) + indexed} cells, got {len(cells)}"
        )


def _finished(table: Table, text: str, layout: Layout, suffix: str, records: list[Record]) -> Table:
    """The table with what remains to be said of it, and without a last column of nothing."""
    columns, names, notes = table.columns, table.names, table.notes
    unnamed = records[0][1][-1].strip() == ""
    last = columns[-1]
    if unnamed and len(names) > 1 and isinstance(last, np.ndarray) and np.isnan(last).all():
        names, columns = names[:-1], columns[:-1]
        notes += ("the last column has neither name nor numbers and was left out",)
    if layout.separator != USUAL.get(suffix):
        notes += (f"cells are separated by {WORDS[layout.separator]}",)
    if table.rows:
        notes += ("the first column has no name: it names the rows and is not a column",)
    if text.lstrip().startswith("#"):
        notes += ("lines at the top that begin with # were left out",)
    names = tuple(name.strip() for name in names)
    sample = [cells for _, cells in islice(layout.records(text), 1, _LOOKED_AT)]
    shift = 1 if table.rows else 0
    places = [_places(column, [cells[j + shift] for cells in sample])
              for j, column in enumerate(columns)]  # fmt: skip
    dtypes = tuple("int64" if found == 0 else "float64" for found in places)
    return table._replace(
        columns=columns, names=names, notes=notes, dtypes=dtypes, decimals=tuple(places)
    )


def _places(column: Column, sample: list[str]) -> int | None:
    """The decimal places with which a column is written; None where there are too many."""
    if not isinstance(column, np.ndarray):
        return None
    known = column[np.isfinite(column)]
    if len(known) and np.abs(known).max() > _LARGEST:
        return None
    found = [_PLACES.fullmatch(cell.strip().lstrip("+-")) for cell in sample]
    written = [len(place[1]) for place in found if place]
    for places in range(_MOST_PLACES + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            if np.array_equal(np.round(known[:_LOOKED_AT], places), known[:_LOOKED_AT]) and (
                np.array_equal(np.round(known, places), known)
            ):
                return max([places, *written])
    return None
