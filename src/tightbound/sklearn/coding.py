"""What becomes of the columns of X: the numbers that a model sees, and the way back.

Columns of one value alone tell a model nothing, and no density of them has a maximum: they are left
out, as are those that `tb.data` takes for names of rows, and the schema says so.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tightbound.core.errors import UsageError
from tightbound.data import Column, Schema, fill, load_items
from tightbound.data.door import as_frame
from tightbound.data.table import Refused, Table, Words, level_text

Said = Schema | str | Path | Mapping[str, Any] | None
"""What the columns are: a schema, a file of it, or words as for `tb.data.load`."""
DROPPED, LABEL = "as declared", "the label"
"""Why columns are left out that may keep their holes."""
EMPTY = "no value is known"


def is_frame(X: Any) -> bool:
    """Whether it is a table with named columns."""
    return hasattr(X, "columns") and len(getattr(X, "shape", ())) == 2


def frame_of(X: Any) -> Table:
    """The columns of a frame.

    Raises:
        UsageError: A table of another package than pandas, polars and Arrow.
    """
    table = as_frame(X, "X")
    if table is None:
        raise UsageError(
            f"expected an array, or a frame of pandas or polars, got {type(X).__name__}"
        )
    return table


@dataclass(frozen=True)
class Coding:
    """How the columns of X become numbers."""

    schema: Schema
    """The columns that the model sees, and what became of the others."""
    names: tuple[str, ...]
    """All columns of X in their order; "x0", "x1", ... where they have no names."""
    framed: bool
    """Whether X was a frame."""
    constants: tuple[tuple[Column, float], ...] = ()
    """The columns of one value alone, and that value as they code it."""

    @property
    def places(self) -> list[int]:
        """Where the columns that the model sees stand in X."""
        return [self.names.index(name) for name in self.schema.names]

    @property
    def own(self) -> Schema | None:
        """The schema as a fit is to have it: None where all columns are real numbers."""
        return self.schema if self.framed else None

    def numbers(self, X: Any) -> Float[np.ndarray, "n d"]:
        """The numbers that the model sees.

        Raises:
            UsageError: Levels that the fit did not have, columns that are missing, or an array
                where the fit had words.
        """
        if is_frame(X) and self.framed:
            return load_items(X, schema=self.schema).x
        words = [column.name for column in self.schema.columns if not _plain(column)]
        if words:
            raise UsageError(f"expected a frame as at fit, whose column {words[0]!r} has levels")
        return np.asarray(X)[:, self.places]

    def filled(self, X: Any, x: Float[np.ndarray, "n d"]) -> Any:
        """X with its holes filled: by x in columns that the model sees, in others by their value.

        Raises:
            UsageError: A hole in a column of which nothing is known.
        """
        if not (is_frame(X) and self.framed):
            whole = np.array(X)
            of_each = dict(zip(self.places, x.T, strict=True))
            for column, value in self.constants:
                of_each[self.names.index(column.name)] = np.full(len(x), value)
            for j, found in of_each.items():
                hole = np.isnan(whole[:, j])
                whole[hole, j] = found[hole]
            return whole
        constants = [np.full((len(x), 1), value) for _, value in self.constants]
        columns = (*self.schema.columns, *(column for column, _ in self.constants))
        self._check_whole(frame_of(X), {column.name for column in columns})
        return fill(
            X, np.hstack([x, *constants]), replace(self.schema, columns=columns, dropped=())
        )

    def restored(self, x: Float[np.ndarray, "n d"]) -> Any:
        """All columns of X for rows that are new: an array, of objects where some are words."""
        columns: list[Any] = [np.full(len(x), np.nan)] * len(self.names)
        for j, column, values in zip(self.places, self.schema.columns, x.T, strict=True):
            columns[j] = values if _plain(column) else column.restore(values)
        for column, value in self.constants:
            values = np.full(len(x), value)
            columns[self.names.index(column.name)] = (
                values if _plain(column) else column.restore(values)
            )
        dtype = object if any(column.dtype == object for column in columns) else np.float64
        return np.stack([np.asarray(column, dtype) for column in columns], axis=1)

    def _check_whole(self, table: Table, filled: set[str]) -> None:
        for j, name in enumerate(table.names):
            why = dict(self.schema.dropped).get(name, LABEL)
            if name not in filled and why not in (DROPPED, LABEL) and _holes(table, j).any():
                raise UsageError(
                    f"column {name!r} has holes, and the model does not see it ({why}): leave it "
                    "out, or say by schema= what it is"
                )

    def to_entries(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {
            "schema": self.schema.to_entries(),
            "names": list(self.names),
            "framed": self.framed,
            "constants": [[asdict(column), value] for column, value in self.constants],
        }

    @classmethod
    def from_entries(cls, entries: dict[str, Any]) -> "Coding":
        """What `to_entries` gave."""
        constants = tuple(
            (Column(**(column | {"levels": tuple(column["levels"])})), value)
            for column, value in entries["constants"]
        )
        schema = Schema.from_entries(entries["schema"], "the schema")
        return cls(schema, tuple(entries["names"]), entries["framed"], constants)


def coded(
    X: Any, schema: Said, fitted: Bool[np.ndarray, " n"]
) -> tuple[Coding, Float[np.ndarray, "n d"]]:
    """Decides what the columns of X are, and gives their numbers.

    Args:
        X: A frame, or an array of numbers with NaN for holes.
        schema: What is said of the columns of a frame; what is not said is inferred.
        fitted: The rows that are fitted to; columns with one value among them are left out.

    Raises:
        UsageError: Words of columns that are not there, a schema beside an array without names, or
            no column that has two values.
    """
    if is_frame(X):
        said = schema if isinstance(schema, Mapping) else {"schema": schema}
        items = load_items(X, **said)
        assert items.schema is not None
        found, x, table = items.schema, items.x, frame_of(X)
    elif schema is not None:
        raise UsageError(
            "schema= says what the columns of a frame are, got an array: give its columns names"
        )
    else:
        x, table = np.asarray(X), None
        found = Schema(tuple(Column(f"x{j}", "real") for j in range(x.shape[1])))
    names = found.names if table is None else table.names
    seen, dropped, constants = [], list(found.dropped), []
    for j, column in enumerate(found.columns):
        known = np.unique(x[fitted, j][~np.isnan(x[fitted, j])])
        seen.append(len(known) > 1)
        if len(known) == 1:
            constants.append((column, float(known[0])))
        if len(known) < 2:
            dropped.append((column.name, "one value alone" if len(known) else EMPTY))
    if not any(seen):
        raise UsageError(
            f"expected a column with two values or more among {int(fitted.sum())} samples, got "
            f"{len(names)} feature(s) without: {'; '.join(f'{n!r}: {w}' for n, w in dropped[:3])}"
        )
    if table is not None:
        constants += [_constant(table, name) for name, _ in found.dropped]
    columns = tuple(column for column, some in zip(found.columns, seen, strict=True) if some)
    made = replace(found, columns=columns, dropped=tuple(dropped))
    known_constants = tuple(pair for pair in constants if pair is not None)
    return Coding(made, names, table is not None, known_constants), x[:, seen]


def _constant(table: Table, name: str) -> tuple[Column, float] | None:
    """A column that was dropped and has one value alone, with that value."""
    j = table.names.index(name)
    column, dtype = table.columns[j], table.dtype(j)
    if isinstance(column, Refused):
        return None
    if isinstance(column, Words):
        texts = {text for text in column.texts if text is not None}
        made = Column(name, "category", tuple(texts), dtype=dtype)
        return (made, 0.0) if len(texts) == 1 else None
    values = np.unique(column[~_holes(table, j)])
    if len(values) != 1:
        return None
    if dtype == "bool":
        return Column(name, "category", (level_text(bool(values[0])),), dtype=dtype), 0.0
    made = Column(name, "real", dtype=dtype)
    return made, float(values[0])


def _holes(table: Table, j: int) -> Bool[np.ndarray, " n"]:
    column = table.columns[j]
    if isinstance(column, Words):
        return np.array([text is None for text in column.texts])
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return np.isnan(column)
    return np.zeros(1, bool)


def _plain(column: Column) -> bool:
    """Whether a column's numbers are the source's own."""
    return not column.levelled or column.levels in (("0", "1"), ("False", "True"))
