"""What a run's records say of a table: its columns' names and kinds, real rows and drawn ones."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.report.records import Records
from tightbound.report.values import as_mapping, as_sequence

MOST_COLUMNS = 30
"""Columns that are shown one by one; the page says how many more there are."""
LONGEST = 26
"""Letters of a name in a figure."""


class TableColumn(NamedTuple):
    """One column of a table."""

    name: str
    kind: str
    levels: tuple[str, ...]
    unit: str

    @property
    def title(self) -> str:
        """The name in a figure, with its unit."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{shortened(self.name, LONGEST - len(unit[:12]))}{unit[:12]}"

    @property
    def levelled(self) -> bool:
        """Whether its numbers are those of levels."""
        return bool(self.levels)


class Table(NamedTuple):
    """Rows of the test part and draws of the model, with the columns that they have."""

    columns: tuple[TableColumn, ...]
    real: Float[np.ndarray, "n d"]
    sampled: Float[np.ndarray, "m d"]


def table(records: Records) -> Table | None:
    """The rows of a table, where both kinds are there and the schema is about them."""
    columns = table_columns(records)
    real, sampled = (records.table.get(name) for name in ("real", "sampled"))
    if real is None or sampled is None or not len(real) or not len(sampled):
        return None
    if not columns or {real.shape[1], sampled.shape[1]} != {len(columns)}:
        return None
    return Table(columns, real, sampled)


def table_columns(records: Records) -> tuple[TableColumn, ...]:
    """The columns of the data's schema; none where there is no schema."""
    entries = as_sequence(as_mapping(records.data.get("schema")).get("columns"))
    return tuple(_column(as_mapping(entry)) for entry in entries)


def _column(entry: Mapping[str, Any]) -> TableColumn:
    levels = tuple(map(str, as_sequence(entry.get("levels"))))
    name, kind, unit = (str(entry.get(word, "")) for word in ("name", "kind", "unit"))
    return TableColumn(name, kind, levels, unit)


def shortened(text: str, most: int) -> str:
    """The text in one line of at most so many letters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
