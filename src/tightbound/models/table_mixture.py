"""Mixtures of table rows: one component that is the table as a whole, from which others start.

Little & Schluchter 1985, Biometrika 72(3); Hunt & Jorgensen 2003, Comput. Statist. Data Anal. 41.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError
from tightbound.core.supports import COUNT, POSITIVE, REAL, Support, TableSupport, interval
from tightbound.core.supports import levels as of_levels
from tightbound.data import Schema, check_values
from tightbound.data.schema import Column
from tightbound.distributions import Categorical, GaussianComponents
from tightbound.likelihoods import TableComponents, Warps, parted
from tightbound.models.model import Model


def table_component(x: Float[np.ndarray, "n d"], schema: Schema | None) -> Model:
    """One component with the columns' means, variances and frequencies, to start EM from.

    Args:
        x: The training data, NaN where values are missing.
        schema: What the columns are; without one all are real numbers.

    Raises:
        UsageError: A column without any value, or with one value alone.
    """
    columns = (None,) * x.shape[1] if schema is None else schema.columns
    numbers, levels = parted(columns)
    names = () if schema is None else schema.names
    lies = TableSupport([_support(column) for column in columns], names)
    check_values(x, lies, "the training data", names, holes=True)
    empty = np.isnan(x).all(axis=0)
    if empty.any():
        place = int(np.argmax(empty))
        column = columns[place]
        name = f"{place} (counted from 0)" if column is None else repr(column.name)
        raise UsageError(f"the training data: column {name} has no value at all: leave it out")
    d = len(numbers)
    warps = Warps.of(x[:, numbers], [columns[place] for place in numbers])
    logits = []
    for place in levels:
        column = columns[place]
        assert column is not None
        counts = [np.sum(x[:, place] == level) + 0.5 for level in range(len(column.levels))]
        logits.append(jnp.log(jnp.asarray([counts], jnp.float32) / np.float32(sum(counts))))
    block = GaussianComponents(
        jnp.zeros((1, d)), jnp.zeros((1, d)), jnp.zeros((1, d * (d - 1) // 2))
    )
    whole = tuple(column is not None and column.kind == "count" for column in
                  (columns[place] for place in numbers))  # fmt: skip
    return Model(
        Categorical(jnp.zeros(1)),
        TableComponents(block, tuple(logits), warps, whole, (numbers, levels), names),
    )


def _support(column: Column | None) -> Support:
    """Where a column's values lie, by its kind."""
    if column is None or column.kind == "real":
        return REAL
    if column.levelled:
        return of_levels(len(column.levels))
    if column.kind == "bounded":
        assert column.low is not None
        assert column.high is not None
        return interval(column.low, column.high)
    return POSITIVE if column.kind == "positive" else COUNT
