"""Log p of some columns of a row given others, and the probabilities of a column's levels.

log p(x_of | x_given) = log p(x_of, x_given) - log p(x_given), each by draws of its own.

Bias: of order stderr^2 / 2 of either term, in opposite directions; none where both are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from jaxtyping import Bool, Float

from tightbound.core.errors import UsageError, at_least, is_whole, unknown
from tightbound.core.streams import streams
from tightbound.data import DataLike, Schema
from tightbound.evidence import Estimate
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.evidence.verdict import WORDS
from tightbound.models import Bayesian, Model
from tightbound.tasks.marginals import (
    Marginals,
    RowEvidence,
    less,
    of_values_alone,
    rows_of,
    single,
)
from tightbound.tasks.predictive import predictive
from tightbound.tasks.score import K

Columns = Sequence[str | int]


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionalEvidence:
    """Log p(x_of | x_given) of n rows."""

    log_p: Float[np.ndarray, " n"]
    """In nats."""
    stderr: Float[np.ndarray, " n"]
    """Standard error, of both terms together."""
    at_least: Bool[np.ndarray, " n"]
    """Of which rows it is only a lower bound, as in `Estimate`."""
    joint: Estimate
    """Log p(x_of, x_given)."""
    given: Estimate
    """Log p(x_given)."""

    @property
    def verdict(self) -> str:
        """The worse of the verdicts on the two terms."""
        return max(self.joint.verdict, self.given.verdict, key=WORDS.index)


def conditional(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    of: Columns,
    given: Columns | None = None,
    *,
    k: int = K,
    schema: Schema | None = None,
    **execution: Unpack[ExecutionSettings],
) -> ConditionalEvidence:
    """Log p(x_of | x_given) of each row.

    Missing values count nowhere: of a row it is the density of what is known of `of`, given what is
    known of `given`.

    Args:
        model: p(x, z) whose likelihood takes missing values.
        posterior: q(z|x); None where log p(x) is exact (finite z, a linear-Gaussian model).
        x: Data of shape (n, d); NaN where values are missing.
        of: Columns, by number from 0, or by name where x is a frame or there is a schema.
        given: Columns that are known besides; by default all others. An empty list is the
            marginal log p(x_of).
        k: Draws of z for each of the two terms.
        schema: What the columns are, for their names.
        execution: `key`, `binarize`, `batch_size`, `chunk` and `progress`: see
            `tb.evidence.Execution`.

    Raises:
        UsageError: Columns that are not there or on both sides, a model of the mask, or as
            `tb.score` says.
        NonFiniteError: A log-weight is NaN or +inf; rows are named.
    """
    run = Execution.of(conditional, execution, without=("resume", "keep"))
    model = single(model)
    of_values_alone(model, "log p of some columns given others")
    (k,) = at_least(1, k=k)
    rows = rows_of(model, x, run.key, run.binarize)
    names, d = _names(rows.names, schema), rows.known.shape[1]
    wanted = _places(of, names, d, "of")
    if not wanted:
        raise UsageError("expected of= with one column or more, got none")
    others = [j for j in range(d) if j not in wanted]
    behind = others if given is None else _places(given, names, d, "given")
    both = sorted(set(wanted) & set(behind))
    if both:
        raise UsageError(f"expected columns on one side, got {_called(both[0], names)} on both")
    everything = np.arange(len(rows.values))
    shown = np.isin(np.arange(d), behind)
    keys = streams(run.key, "conditional.joint", "conditional.given")
    found = [
        Marginals(model, posterior, k, run).log_p(rows.at(everything, rows.known & mask), key)
        for mask, key in zip((shown | np.isin(np.arange(d), wanted), shown), keys, strict=True)
    ]
    joint, rest = map(RowEvidence.of, found)
    return ConditionalEvidence(
        log_p=less(joint.log_p, rest.log_p),
        stderr=np.hypot(joint.stderr, rest.stderr),
        at_least=joint.at_least | rest.at_least,
        joint=found[0],
        given=found[1],
    )


def level_probabilities(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    column: str | int,
    *,
    k: int = K,
    schema: Schema | None = None,
    **execution: Unpack[ExecutionSettings],
) -> Float[np.ndarray, "n levels"]:
    """p(level | rest of the row) for each level of a column, whatever x holds in that column.

    Where the column is a label, these are the probabilities of classes. They are means over
    weighted draws of z: `tb.tasks.predictive` of the same rows without the column tells of the
    weights (`ess`, `khat`).

    Args:
        model: p(x, z), whose likelihood knows the column's levels (`likelihood="columns"`).
        posterior: q(z|x); None for a model of finitely many z, which are all weighed.
        x: Data of shape (n, d); NaN where values are missing.
        column: Its number from 0, or its name where x is a frame or there is a schema.
        k: Draws of z.
        schema: What the columns are, for their names; the order of the levels is its.
        execution: `key`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: A column that is not there or has no levels, a model of the mask, or as
            `predictive` says.
        NonFiniteError: A log-weight is NaN or +inf; rows are named.
    """
    run = Execution.of(
        level_probabilities, execution, without=("binarize", "chunk", "resume", "keep")
    )
    model = single(model)
    of_values_alone(model, "the probabilities of a column's levels")
    rows = rows_of(model, x, run.key, "auto")
    names, d = _names(rows.names, schema), rows.known.shape[1]
    (place,) = _places([column], names, d, "column")
    known = rows.known & (np.arange(d) != place)
    hidden = rows.at(np.arange(len(known)), known)
    found = predictive(
        model,
        posterior,
        hidden.source(model),
        draws=1,
        k=k,
        key=run.key,
        batch_size=run.batch_size,
        progress=run.progress,
    )
    if place not in found.level_probs:
        raise UsageError(
            f"expected a column with levels, and the likelihood has none for "
            f'{_called(place, names)}: likelihood="columns" has them for categories, ordinal and '
            "binary columns"
        )
    return found.level_probs[place]


def _names(own: tuple[str, ...], schema: Schema | None) -> tuple[str, ...]:
    return own if schema is None else schema.names


def _called(place: int, names: tuple[str, ...]) -> str:
    return repr(names[place]) if names else f"column {place}"


def _places(columns: Any, names: tuple[str, ...], d: int, what: str) -> list[int]:
    """The numbers of columns that are named, or numbered.

    Raises:
        UsageError: One that is not there, or that is named twice.
    """
    if isinstance(columns, str):
        raise UsageError(f"expected {what}= as a list of columns, got {columns!r}")
    found = []
    for column in columns:
        if isinstance(column, str):
            if column not in names:
                raise unknown(f"column of {what}=", column, names)
            found.append(names.index(column))
        elif not is_whole(column) or not 0 <= column < d:
            raise UsageError(
                f"expected columns of {what}= by name or from 0 to {d - 1}, got {column!r:.40}"
            )
        else:
            found.append(int(column))
    if len(set(found)) != len(found):
        raise UsageError(f"expected each column of {what}= once, got {list(columns)}")
    return found
