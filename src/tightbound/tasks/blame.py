"""What one cell of a row has to do with the row's score, in words."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from tightbound.data import Schema


class Blamed(NamedTuple):
    """One cell of a row."""

    place: int
    """The number of its column, from 0."""
    column: str
    value: str
    """A level as the source writes it, where the schema is known; else the number."""
    conditional: float
    """Log p(x_j | x_-j) in nats."""
    stderr: float
    at_least: bool
    """Whether `stderr` is only a lower bound: the weights may have no variance."""
    usual: float
    """The median of the same in rows that are usual."""
    usual_of: str
    """Of which rows, in words."""

    @property
    def below(self) -> float:
        """How far the cell is below what is usual for its column, in nats; free of units."""
        return self.usual - self.conditional

    def __str__(self) -> str:
        """The column, its value, and how unlikely it is."""
        side = "less" if self.below >= 0 else "more"
        error = f"± {self.stderr:.1f}{' or more' if self.at_least else ''}"
        return (
            f"{self.column} = {self.value}: {abs(self.below):.1f} {error} nats {side} "
            f"likely, given the rest of the row, than the median of {self.usual_of}"
        )


def blamed(
    values: Float[np.ndarray, " d"],
    conditional: Float[np.ndarray, " d"],
    stderr: Float[np.ndarray, " d"],
    at_least: Bool[np.ndarray, " d"],
    usual: Float[np.ndarray, " d"],
    *,
    usual_of: str,
    names: tuple[str, ...],
    schema: Schema | None,
) -> tuple[Blamed, ...]:
    """The known cells of a row, the furthest below what is usual first; undefined ones last."""
    found = [
        Blamed(
            int(j),
            names[j] if names else f"x{j}",
            _text(float(values[j]), int(j), schema),
            float(conditional[j]),
            float(stderr[j]),
            bool(at_least[j]),
            float(usual[j]),
            usual_of,
        )
        for j in np.flatnonzero(~np.isnan(values))
    ]
    return tuple(sorted(found, key=_order))


def _order(cell: Blamed) -> tuple[bool, float]:
    below = cell.below
    return below != below, -below if below == below else 0.0


def _text(value: float, j: int, schema: Schema | None) -> str:
    """A level as the source writes it; a number as it came, which a schema might round."""
    if schema is not None and schema.columns[j].levelled:
        return str(schema.columns[j].restore(np.array([value]))[0])
    return f"{value:.6g}"
