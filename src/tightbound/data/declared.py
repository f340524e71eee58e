"""What the user says of a table's columns: kinds, levels, limits, a label, what is left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from tightbound.core.errors import UsageError, unknown
from tightbound.data.schema import LEVELLED, Kind, Schema

Names = str | Sequence[str]
Orders = Names | Mapping[str, Sequence[str] | None]
Limits = Names | Mapping[str, tuple[float, float] | None]


class Declarations(TypedDict, total=False):
    """What `tb.data.load` and `tb.data.load_items` may be told of a table's columns."""

    real: Names
    positive: Names
    count: Names
    category: Names
    ordinal: Orders
    binary: Names
    bounded: Limits
    drop: Names
    label: str | None
    schema: str | Path | Schema | None


@dataclass(frozen=True)
class Declared:
    """Declarations, checked; empty where nothing was said.

    Attributes:
        kinds: By the column's name.
        orders: Of ordinal columns, the levels in their order; empty for the source's own.
        limits: Of bounded columns; none for 0 and 1.
        drop: Columns that are left out.
        label: The column that is the label; "" for none.
        schema: What says it all.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    label: str = ""
    schema: Schema | None = None

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return bool(self.kinds or self.drop or self.label or self.schema)

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """Columns whose numbers name levels, and the levels that are known, by name."""
        if self.schema is not None:
            found = {c.name: c.levels for c in self.schema.columns if c.levelled}
            return found | (
                {self.schema.label: self.schema.label_levels} if self.schema.label else {}
            )
        found = {name: () for name, kind in self.kinds.items() if kind in LEVELLED}
        found |= {self.label: ()} if self.label else {}
        return found | dict(self.orders)

    def check_names(self, names: Iterable[str], what: str) -> None:
        """Refuses names of columns that are not there.

        Raises:
            UsageError: The name, and those that are near.
        """
        names = tuple(names)
        for name in (*self.kinds, *self.drop, *([self.label] if self.label else [])):
            if name not in names:
                raise UsageError(f"{what}: {unknown('a column', name, names)}")


def declared(given: Declarations) -> Declared:
    """Checks declarations.

    Raises:
        UsageError: A column that is said to be two things, an order or limits that are none, or a
            schema beside other words.
    """
    rest = {name: value for name, value in given.items() if value not in (None, (), [], {}, "")}
    schema = rest.pop("schema", None)
    if schema is not None:
        if rest:
            raise UsageError(f"schema= says what all columns are: leave {', '.join(rest)} out")
        known = schema if isinstance(schema, Schema) else Schema.from_toml(str(schema))
        return Declared(schema=known)
    label = rest.pop("label", "")
    if not isinstance(label, str):
        raise UsageError(f"expected label as the name of one column, got {label!r:.60}")
    drop = _names("drop", rest.pop("drop", ()))
    orders = _by_name("ordinal", rest.get("ordinal", ()))
    limits = _by_name("bounded", rest.get("bounded", ()))
    kinds: dict[str, Kind] = {}
    for kind, names in rest.items():
        for name in _names(kind, names):
            if name in kinds or name in drop or name == label:
                other = kinds.get(name, "drop" if name in drop else "label")
                raise UsageError(f"column {name!r} is said to be {other} and {kind}: leave one")
            kinds[name] = kind  # pyright: ignore[reportArgumentType]
    if label in drop and label:
        raise UsageError(f"column {label!r} is said to be drop and label: leave one")
    return Declared(
        kinds,
        {name: _order(name, levels) for name, levels in orders.items() if levels is not None},
        {name: _limits(name, pair) for name, pair in limits.items() if pair is not None},
        drop,
        label,
    )


def _names(what: str, given: object) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"expected {what} as names of columns, got {given!r:.60}")
    return tuple(dict.fromkeys(names))


def _by_name(what: str, given: object) -> Mapping[str, object]:
    return dict(given) if isinstance(given, Mapping) else dict.fromkeys(_names(what, given))


def _order(name: str, levels: object) -> tuple[str, ...]:
    order = tuple(map(str, levels)) if isinstance(levels, Iterable) else ()
    if isinstance(levels, str) or len(set(order)) < 2 or len(set(order)) < len(order):
        raise UsageError(
            f"column {name!r}: expected two levels or more in their order, such as "
            f"['S', 'M', 'L'], got {levels!r:.60}"
        )
    return order


def _limits(name: str, pair: object) -> tuple[float, float]:
    try:
        low, high = map(float, pair)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise UsageError(
            f"column {name!r}: expected limits low < high, such as (0, 100), got {pair!r:.60}"
        )
    return low, high
