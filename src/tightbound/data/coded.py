"""From a table to numbers and its schema: a level is its number from 0, a hole is NaN."""

from dataclasses import replace

import numpy as np

from tightbound.core.errors import UsageError, unknown
from tightbound.data.declared import Declared
from tightbound.data.door import Values, from_table
from tightbound.data.inferred import (
    FEW,
    Guess,
    begin_with_numbers,
    guess_numbers,
    guess_words,
    in_order,
)
from tightbound.data.numbered import factor_of, numbers
from tightbound.data.readers.cells import is_missing
from tightbound.data.schema import LEVELLED, Column, Kind, Schema
from tightbound.data.table import Refused, Table, Words, is_number

_OTHERWISE: dict[Kind, tuple[str, ...]] = {
    "count": ("category", "real"),
    "positive": ("real",),
    "real": ("category",),
    "category": ("ordinal",),
    "binary": ("real",),
}
"""What else a column may be that was taken to be of a kind."""


def coded(table: Table, said: Declared) -> Values:
    """The numbers of a table, and its schema.

    A table of numbers of which nothing was said comes as it is: no column is left out or coded.

    Raises:
        UsageError: Names that are there twice or not at all, values outside what was said of
            their column, a level that the schema does not have, or nothing left.
    """
    for name in table.names:
        if table.names.count(name) > 1:
            places = [j for j, other in enumerate(table.names) if other == name]
            raise UsageError(
                f"{table.what}: expected columns of different names, got {name!r} as columns "
                f"{' and '.join(map(str, places))} (counted from 0)"
            )
    if said.schema is not None:
        return by_schema(table, said.schema)
    if not said and not any(isinstance(column, Words) for column in table.columns):
        values = from_table(table)
        return values._replace(schema=_as_it_is(table))
    said.check_names(table.names, table.what)
    columns: list[Column] = []
    arrays: list[np.ndarray] = []
    dropped: list[tuple[str, str]] = []
    notes: list[str] = []
    label: tuple[tuple[str, ...], np.ndarray] = ((), np.zeros(0))
    for j, name in enumerate(table.names):
        if name in said.drop:
            dropped.append((name, "as declared"))
        elif name == said.label:
            label = _label(table, j)
        else:
            made = _declared(table, j, said) if name in said.kinds else _guessed(table, j)
            if isinstance(made, str):
                dropped.append((name, made))
                notes.append(f"column {name!r} was left out: {made}")
                continue
            columns.append(made)
            arrays.append(numbers(table, j, made))
            notes += _notes(table, j, made)
    notes += _guesses(columns)
    if not columns:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in dropped[:3])
        raise UsageError(f"{table.what}: expected a column for the model, got none ({reasons})")
    schema = Schema(tuple(columns), said.label, label[0], tuple(dropped))
    return _values(table, schema, arrays, tuple(notes), label[1] if said.label else None)


def by_schema(table: Table, schema: Schema) -> Values:
    """The numbers of a table that is to be coded as another was; columns go by their names.

    Raises:
        UsageError: A column that is missing, or a value that the schema does not allow: its row,
            line and column are named.
    """
    for name in schema.names:
        if name not in table.names:
            near = unknown("column", name, table.names)
            raise UsageError(f"{table.what} lacks a column of the schema: {near}")
    places = [table.names.index(name) for name in schema.names]
    arrays = [numbers(table, j, column)
              for j, column in zip(places, schema.columns, strict=True)]  # fmt: skip
    apart = {*schema.names, schema.label, *dict(schema.dropped)}
    others = [name for name in table.names if name not in apart]
    notes = (f"columns that the schema does not have were left out: {', '.join(others[:5])}"
             f"{', ...' if len(others) > 5 else ''}",) if others else ()  # fmt: skip
    labels = None
    if schema.label in table.names:
        of = Column(schema.label, "category", schema.label_levels)
        codes = numbers(table, table.names.index(schema.label), of)
        labels = np.where(np.isnan(codes), -1, codes).astype(np.int32)
    return _values(table, schema, arrays, notes, labels)


def _values(
    table: Table,
    schema: Schema,
    arrays: list[np.ndarray],
    notes: tuple[str, ...],
    labels: np.ndarray | None,
) -> Values:
    x = np.stack(arrays, axis=1)
    return Values(x, schema.names, table.rows, table.notes + notes, 1.0, schema, labels)


def _as_it_is(table: Table) -> Schema:
    """The schema of a table of numbers that stay as they are."""
    columns = [_described(table, j, _guess(table, j, kept=True)) for j in range(len(table.names))]
    return Schema(tuple(columns))


def _guess(table: Table, j: int, *, kept: bool) -> Guess:
    column = table.columns[j]
    if isinstance(column, Words):
        factor = factor_of(table, j)
        counts = dict.fromkeys(column.levels, 0)
        held = np.bincount(factor.numbers[factor.numbers >= 0], minlength=len(factor.levels))
        counts |= dict(zip(factor.levels, held.tolist(), strict=True))
        return guess_words(counts, own=bool(column.levels), ordered=column.ordered)
    assert isinstance(column, np.ndarray)
    x, truth = column.astype(np.float64), column.dtype == bool or table.dtype(j) == "bool"
    return guess_numbers(x, table.names[j], first=j == 0, truth=truth, kept=kept)


def _guessed(table: Table, j: int) -> Column | str:
    """A column of which nothing was said, or why it is left out."""
    column = table.columns[j]
    if isinstance(column, Refused):
        raise column.error
    if isinstance(column, Words) and not column.levels:
        _check_no_numbers(table, j, column)
    guess = _guess(table, j, kept=False)
    return guess.why if guess.kind is None else _described(table, j, guess)


def _declared(table: Table, j: int, said: Declared) -> Column:
    name = table.names[j]
    kind = said.kinds[name]
    column = table.columns[j]
    if isinstance(column, Refused):
        raise column.error
    levels: tuple[str, ...] = said.orders.get(name, ())
    if kind == "ordinal" and not levels:
        own = isinstance(column, Words) and column.levels
        found = factor_of(table, j).levels
        if not own and not begin_with_numbers(found):
            raise UsageError(
                f"{table.what}: column {name!r}: expected its levels in their order, as "
                f"ordinal={{{name!r}: [...]}} or --ordinal '{name}=A<B<C', got {_some(found)}"
            )
    made = _described(table, j, Guess(kind), levels)
    if kind == "bounded":
        low, high = said.limits.get(name, (0.0, 1.0))
        made = replace(made, low=low, high=high)
    if kind in LEVELLED and len(made.levels) < 2:
        raise UsageError(
            f"{table.what}: column {name!r}: expected two levels or more of a {kind} column, got "
            f"{_some(list(made.levels))}"
        )
    if kind == "binary" and len(made.levels) != 2:
        raise UsageError(
            f"{table.what}: column {name!r}: expected two levels of a binary column, got "
            f"{len(made.levels)}: {_some(list(made.levels))}"
        )
    return made


def _described(table: Table, j: int, guess: Guess, levels: tuple[str, ...] = ()) -> Column:
    """A column of a kind, with what the table tells of it."""
    column = table.columns[j]
    assert not isinstance(column, Refused)
    assert guess.kind is not None
    made = Column(
        table.names[j],
        guess.kind,
        dtype=table.dtype(j),
        decimals=table.decimals[j] if table.decimals else None,
        guessed=guess.why,
    )
    if made.levelled:
        factor = factor_of(table, j)
        missing = int((factor.numbers < 0).sum())
        if not levels:
            own = column.levels if isinstance(column, Words) else ()
            levels = own or in_order(factor.levels)
            if guess.kind == "binary" and table.dtype(j) == "bool":
                levels = ("False", "True")
        return replace(made, levels=levels, missing=missing)
    if isinstance(column, Words):
        return made  # which is refused with the first value
    known = column[~np.isnan(column)] if column.dtype.kind == "f" else column
    least, greatest = (float(known.min()), float(known.max())) if len(known) else (None, None)
    return replace(made, missing=len(column) - len(known), least=least, greatest=greatest)


def _label(table: Table, j: int) -> tuple[tuple[str, ...], np.ndarray]:
    column = table.columns[j]
    factor = factor_of(table, j)
    fractions = isinstance(column, np.ndarray) and (column[~np.isnan(column)] % 1 != 0).any()
    most = max(FEW, int((factor.numbers >= 0).sum()) // 2)
    if fractions or len(factor.levels) > most or not factor.levels:
        raise UsageError(
            f"{table.what}: column {table.names[j]!r}: expected a label, of few levels, got "
            f"{_some(factor.levels)}"
        )
    own = column.levels if isinstance(column, Words) else ()
    levels = own or in_order(factor.levels)
    place = [*map(levels.index, factor.levels), -1]
    return levels, np.array(place, np.int32)[factor.numbers]


def _check_no_numbers(table: Table, j: int, column: Words) -> None:
    """Refuses numbers that the source has as texts, as beside a "?" that it did not know."""
    known = [text for text in column.texts if text is not None and text.strip()]
    numeric = [text for text in known if is_number(text)]
    if 2 * len(numeric) > len(known):
        others = [text for text in known if text not in set(numeric)]
        beside = f" beside {others[0]!r:.40}" if others else ""
        raise UsageError(
            f"{table.what}: column {table.names[j]!r}: expected numbers or levels, got numbers as "
            f"texts, such as {numeric[0]!r:.40}{beside}; make them numbers, or say that they are "
            f"levels, category=[{table.names[j]!r}]"
        )


def _guesses(columns: list[Column]) -> list[str]:
    """One note for all columns that were taken to be of one kind."""
    notes = []
    for kind, others in _OTHERWISE.items():
        found = [column for column in columns if column.kind == kind and column.guessed]
        if found:
            listed = ", ".join(f"{column.name!r} ({column.guessed})" for column in found)
            ways = " or ".join(f"{other}=[...] (--{other})" for other in others)
            notes.append(f"taken as {kind} by a guess, which {ways} changes: {listed}")
    return notes


def _notes(table: Table, j: int, made: Column) -> list[str]:
    """Levels that may be one, and texts that were taken for holes."""
    name, notes = made.name, []
    alike: dict[str, str] = {}
    for level in made.levels:
        other = alike.setdefault(" ".join(level.split()).casefold(), level)
        if other != level:
            notes.append(f"column {name!r}: the levels {other!r} and {level!r} differ by case or "
                         "white space alone, and are kept apart")  # fmt: skip
        if is_missing(level):
            notes.append(f"column {name!r}: {level!r} is a level, as the source has it, and not a "
                         "missing value")  # fmt: skip
    column = table.columns[j]
    if isinstance(column, Words):
        blank = sum(text is not None and not text.strip() for text in column.texts)
        notes += [f"column {name!r}: {blank} blank texts are taken as missing"] if blank else []
    return notes


def _some(levels: list[str]) -> str:
    shown = ", ".join(repr(level)[:40] for level in levels[:4])
    return f"{shown}, ... ({len(levels)} levels)" if len(levels) > 4 else shown or "no value"
