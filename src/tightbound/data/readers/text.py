"""Tables of numbers in text: separated by commas, semicolons, tabs or white space."""

import csv
import io
import re
from array import array
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.readers.cells import Cells, Record, is_number, with_point
from tightbound.data.readers.header import decide, names_columns
from tightbound.data.readers.raw import first_line
from tightbound.data.table import Table

_SAMPLE = 20  # lines from which the separator is found
_WHITE = " "
_USUAL = {".csv": ",", ".tsv": "\t"}
_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", _WHITE: "white space"}
_DECIMAL_COMMAS = re.compile(r"[+-]?\d+(,\d+)?")
_UNNAMED = ("", "Unnamed: 0")  # how pandas and R head the names of rows


def parse_text(content: bytes, what: str, *, suffix: str, header: bool | None) -> Table:
    """Reads a table of numbers with or without a line of names; missing cells become NaN.

    The names of rows, in a first column without a name of its own, are no column. Lines above the
    table that begin with # are left out.

    Args:
        content: The file's bytes, text in UTF-8.
        what: The file, for errors.
        suffix: Of its name; where it is usual for another separator, a note says so.
        header: Whether the first line names the columns; None: the lines must tell.

    Raises:
        UsageError: Not text, no rows, rows of unequal length, a first line of numbers that may be
            either, or a cell that is no number: its row (from 0, the names not counted), line and
            column name are given.
    """
    try:
        return _table(content.decode("utf-8-sig"), what, suffix, header=header)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{what}: expected comma-separated text in UTF-8 ({first_line(error)})"
        ) from None


def _table(text: str, what: str, suffix: str, *, header: bool | None) -> Table:
    separator = _separator(text, suffix)
    records = _records(text, separator)
    first, second = next(records, None), next(records, None)
    if first is None:
        raise UsageError(f"{what}: expected at least one row of numbers, got none")
    top = header
    if header is None:
        plain = [with_point(cell) for cell in first[1]] if separator != "," else first[1]
        top = names_columns(plain, second[1] if second else None)
    body = [record for record in (first, second) if record][0 if top is False else 1 :]
    by_r = separator in (_WHITE, "\t") and bool(body)  # R heads no column of row names at all
    names = _names(first[1], body[0][1] if by_r else first[1], top=top)
    indexed = len(names) > 1 and top is not False and names[0].strip() in _UNNAMED
    names = names[1:] if indexed else names
    records = chain(body, records)
    rows, x, notes = _numbers(records, names, what, indexed=indexed, commas=separator != ",")
    if top is None:
        counts = np.array([float(with_point(name)) for name in names])
        is_header, note = decide(counts, x, what)
        notes += (note,)
        if not is_header:
            if indexed:
                raise UsageError(f"{what}: {note}, but one without a name; pass header=True")
            x = np.concatenate([counts[None], x])
            names = [str(j) for j in range(len(names))]
    elif header is None and top and any(map(is_number, names)):
        notes += ("the first line names the columns; header=False makes it a row",)
    if not len(x):
        raise UsageError(f"{what}: expected at least one row of numbers, got none")
    last = first[1][-1] if top is False else names[-1]
    if last.strip() == "" and len(names) > 1 and np.isnan(x[:, -1]).all():
        names, x = names[:-1], x[:, :-1]
        notes += ("the last column has neither name nor numbers and was left out",)
    if separator != _USUAL.get(suffix):
        notes += (f"cells are separated by {_WORDS[separator]}",)
    if indexed:
        notes += ("the first column has no name: it names the rows and is not a column",)
    if text.lstrip().startswith("#"):
        notes += ("lines at the top that begin with # were left out",)
    return Table(list(x.T), tuple(name.strip() for name in names), tuple(rows), notes, what)


def _names(first: list[str], row: list[str], *, top: bool | None) -> list[str]:
    """The columns' names, from the first line and one row."""
    if top is False:
        return [str(j) for j in range(len(first))]
    unheaded = len(first) == len(row) - 1 and row[-1].strip() != ""
    return ["", *first] if unheaded else first


def _numbers(
    records: Iterator[Record], names: list[str], what: str, *, indexed: bool, commas: bool
) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """The names of the rows, the numbers, and notes on them."""
    cells_of = Cells(names, what, commas=commas)
    rest = ((line, cells[indexed:]) for line, cells in records)
    rows: list[str] = []
    values = array("d")
    n = 0
    for line, cells in records:
        where = f"row {n} (line {line})"
        if len(cells) != len(names) + indexed:
            raise UsageError(
                f"{what}: {where}: expected {len(names) + indexed} cells, got {len(cells)}"
            )
        if indexed:
            rows.append(cells[0].strip())
        values.extend(cells_of.numbers(cells[indexed:], where, rest))
        n += 1
    return rows, np.array(values).reshape(n, len(names)), cells_of.notes()


def _records(text: str, separator: str) -> Iterator[Record]:
    """The lines with anything on them, from the first that does not begin with #."""
    skipped = 0
    lines = io.StringIO(text, newline="")
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            break
        skipped += 1
    lines.seek(0)
    source = islice(lines, skipped, None)
    if separator == _WHITE:
        source = (" ".join(line.split()) for line in source)
    reader = csv.reader(source, delimiter=separator)
    for cells in reader:
        if any(cells) or len(cells) > 1:
            yield reader.line_num + skipped, cells


def _separator(text: str, suffix: str) -> str:
    """The first separator that gives all of the first lines as many cells, and more than one."""
    lines = io.StringIO(text, newline="")
    some = (line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    sample = list(islice(some, _SAMPLE))
    if not sample:
        return ","
    for mark in ("\t", ";", ",", _WHITE):
        if mark == "," and _white_with_commas(sample):
            continue
        plain = [" ".join(line.split()) for line in sample] if mark == _WHITE else sample
        widths = [len(cells) for cells in csv.reader(plain, delimiter=mark)]
        body = set(widths[1:] or widths)
        if len(body) == 1 and 1 < min(body) and widths[0] in (max(body), max(2, max(body) - 1)):
            return mark
    return next((mark for mark in "\t;," if mark in sample[0]), _USUAL.get(suffix, _WHITE))


def _white_with_commas(lines: list[str]) -> bool:
    """Whether white space separates numbers with decimal commas, as in `1,5 2,5`."""
    cells = [line.split() for line in lines]
    return min(map(len, cells)) > 1 and all(
        _DECIMAL_COMMAS.fullmatch(cell) for row in cells[1:] or cells for cell in row
    )
