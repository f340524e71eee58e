"""A table's text with some cells written anew, and every other byte as it was."""

import codecs
from collections.abc import Mapping

import numpy as np

from tightbound.data.readers.cells import DECIMAL_COMMAS
from tightbound.data.readers.layout import find_layout
from tightbound.data.table import Refused, Table


def fill_text(
    content: bytes, what: str, suffix: str, table: Table, filled: Mapping[str, Mapping[int, str]]
) -> bytes:
    """The file with some cells of a table's columns written anew, and every other byte as it was.

    Args:
        content: The file's bytes.
        what: The file, for errors.
        suffix: Of its name.
        table: What `parse_text` made of it.
        filled: By column and row, the new text of a cell.

    Raises:
        UsageError: Cells whose ends quotes do not tell.
    """
    text = content.decode("utf-8-sig")
    layout = find_layout(text, suffix)
    comma = DECIMAL_COMMAS in table.notes
    begin, pieces = 0, []
    records = list(layout.spans(text, what)) if filled else []
    body = records[len(records) - _n_rows(table) :] if records else []
    shift = 1 if table.rows else 0
    places = [(table.names.index(name), cells) for name, cells in filled.items()]
    quoted = {
        j: any(cells[j + shift] and text[spans[j + shift][0]] == layout.quote
               for cells, spans in body)
        for j, _ in places
    }  # fmt: skip
    for row, (_, spans) in enumerate(body):
        for j, new in sorted((j, cells[row]) for j, cells in places if row in cells):
            start, end = spans[j + shift]
            if comma and isinstance(table.columns[j], np.ndarray):
                new = new.replace(".", ",")
            pieces += [text[begin:start], layout.quoted(new, always=quoted[j])]
            begin = end
    mark = content[:3] if content.startswith(codecs.BOM_UTF8) else b""
    return mark + ("".join(pieces) + text[begin:]).encode()


def _n_rows(table: Table) -> int:
    return next(len(getattr(c, "texts", c)) for c in table.columns if not isinstance(c, Refused))
