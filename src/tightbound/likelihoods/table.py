"""Which law each column of a table has, by name, by its kind, or by what is asked for it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.calls import Call
from tightbound.core.errors import UsageError, unknown
from tightbound.core.names import likelihood_call
from tightbound.core.streams import streams
from tightbound.data.schema import KINDS, Column, Kind, Schema
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.likelihoods.columns import Columns
from tightbound.likelihoods.registry import Likelihood, likelihoods
from tightbound.likelihoods.univariate import Part, n_levels
from tightbound.networks import Body, Features

USUAL: dict[Kind, str] = {
    "real": "gaussian",
    "positive": "log_normal",
    "count": "negative_binomial",
    "category": "categorical",
    "ordinal": "ordinal",
    "binary": "bernoulli",
    "bounded": "beta",
}
"""The law of each kind, for likelihood="columns"."""
AS_LEVELS = ("columns", "categorical", "ordinal")
"""Likelihoods for which the number of a level is no amount."""
MANY_ZEROS = 0.1
"""Share of zeros beyond those of a negative binomial from which a count is zero-inflated."""


class Table(NamedTuple):
    """Training data as rows, NaN where missing, with what is known of their columns."""

    values: Float[np.ndarray, "n d"]
    names: tuple[str, ...] = ()
    schema: Schema | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of the schema, or names alone: of kind "real", which nothing is concluded from."""
        if self.schema is not None:
            return self.schema.columns
        names = self.names or tuple(f"x{i}" for i in range(self.values.shape[1]))
        return tuple(Column(name, "real") for name in names)


def of_columns(
    calls: Mapping[str, Call] | Call, body: Body, table: Table, key: PRNGKeyArray
) -> AbstractExplicit:
    """The likelihood of a table by one name for all columns, by kinds, or by names of columns.

    Raises:
        UsageError: Columns without a schema to say what they are, names of columns that are not
            there, a likelihood that is not for single columns, or values that it is not for.
    """
    chosen, notes = _chosen(calls, table)
    groups: dict[Any, list[int]] = {}
    for place, call in enumerate(chosen):
        groups.setdefault((repr(call), _levels(call, table, place)), []).append(place)
    laws, places = [], []
    for of in groups.values():
        call = chosen[of[0]]
        part = Part(table.values[:, of].astype(np.float64), tuple(table.columns[i] for i in of))
        make = likelihoods()[call.name].univariate
        assert make is not None
        laws.append(make(part, **call.options))
        places.append(tuple(of))
    names = table.schema.names if table.schema is not None else table.names
    seen, levels = [""] * len(chosen), [0] * len(chosen)
    for law, of in zip(laws, places, strict=True):
        for place in of:
            seen[place] = law.sees
            levels[place] = (law.levels or 0) if law.sees == "levels" else 0
    features = Features.of(table.values, tuple(seen), tuple(levels))
    trunk_key, head_key = streams(key, "columns.trunk", "columns.head")
    total = sum(law.size * len(of) for law, of in zip(laws, places, strict=True))
    if body.images is not None and len(laws) > 1:
        raise UsageError(
            "network='conv' gives all pixels numbers of one law: expected one likelihood for all "
            f"columns, got {len(laws)}"
        )
    sizes = {"the columns' free numbers": total}
    trunk, (head,) = body.build(sizes, trunk_key, [head_key], inside=True)
    return Columns(trunk, head, tuple(laws), features, tuple(places), tuple(names), notes)


def checked(asked: Any) -> Call:
    """What is asked for as a call whose name and options are known.

    Raises:
        UsageError: They are not.
    """
    call = likelihood_call(asked)
    offered = likelihoods()[call.name].options
    for option in call.options:
        if option not in offered:
            raise unknown(f"an option of the likelihood {call.name}", option, offered)
    return call


def _chosen(calls: Mapping[str, Call] | Call, table: Table) -> tuple[list[Call], tuple[str, ...]]:
    """The likelihood of each column, and what was decided by a look at the data."""
    d = table.values.shape[1]
    if isinstance(calls, Call) and calls.name != "columns":
        return [calls] * d, ()
    given = {} if isinstance(calls, Call) else dict(calls)
    by_kind = dict(calls.options) if isinstance(calls, Call) else {}
    names = [column.name for column in table.columns]
    if isinstance(calls, Mapping) and table.schema is None and not table.names:
        raise UsageError(
            "likelihood= by columns needs their names: expected a data set with a schema, or a "
            "frame, got an array without names"
        )
    for name in given:
        if name not in names:
            raise unknown("a column of likelihood=", name, names)
    left = [name for name in names if name not in given]
    if table.schema is None and left:
        raise UsageError(
            "likelihood='columns' goes by the kinds of the columns, and the data have no schema: "
            "expected a data set with a schema, one name for all columns, or one for each by "
            f"likelihood={{...}}; {left[0]!r} has none"
        )
    chosen, notes = [], []
    for place, column in enumerate(table.columns):
        if column.name in given:
            chosen.append(_of_column(given[column.name], column))
            continue
        asked = by_kind.get(column.kind)
        call = checked(USUAL[column.kind] if asked is None else asked)
        if asked is None and column.kind == "count":
            note = _zeros(column.name, table.values[:, place])
            if note:
                call, notes = Call("zero_inflated_negative_binomial"), [*notes, note]
        chosen.append(_of_column(call, column))
    return chosen, tuple(notes)


def _of_column(call: Call, column: Column) -> Call:
    found = likelihoods()[call.name]
    if found.univariate is None:
        raise UsageError(
            f"column {column.name!r}: the likelihood {call.name} is for whole rows: expected one "
            f"of {', '.join(univariate())}"
        )
    return call


def univariate() -> tuple[str, ...]:
    """The likelihoods that single columns can have."""
    return tuple(name for name, found in likelihoods().items() if found.univariate is not None)


def _zeros(name: str, x: Float[np.ndarray, " n"]) -> str:
    """Why a count has more zeros than a negative binomial of its moments; "" where it has not."""
    known = x[~np.isnan(x)].astype(np.float64)
    mean, variance = known.mean(), known.var()
    share = float(np.mean(known == 0))
    if mean == 0:
        return ""
    r = mean**2 / (variance - mean) if variance > mean else np.inf
    expected = float(np.exp(-mean) if np.isinf(r) else (r / (r + mean)) ** r)
    if share < expected + MANY_ZEROS:
        return ""
    return (
        f"column {name!r} is zero-inflated: {share:.0%} of its values are 0, where a negative "
        f"binomial of its mean and variance has {expected:.0%}"
    )


def _levels(call: Call, table: Table, place: int) -> int:
    """How many levels a column has, by which columns of one law are parted; 0 for numbers."""
    if call.name not in ("categorical", "ordinal"):
        return 0
    return n_levels(table.columns[place], table.values[:, place])


LIKELIHOODS = {
    "columns": Likelihood(
        "tables with a schema: a law for each column's kind, as columns(positive='gamma')",
        options=KINDS,
    ),
}
