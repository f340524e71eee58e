"""What is expected of each value of a row given all others of it: E[x_j | x_-j].

A copy of the row for each value, with one more hole, weighed as for `predictive`.

Reference: that of `predictive`.
Bias: of order 1 / ESS; none where z is enumerated.
"""

from typing import Any, Unpack

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import at_least
from tightbound.data import DataLike
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model
from tightbound.tasks.marginals import of_values_alone, rows_of, single
from tightbound.tasks.predictive import K, predictive


def expected_given_rest(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    k: int = K,
    **execution: Unpack[ExecutionSettings],
) -> Float[np.ndarray, "n *item"]:
    """E[x_j | x_-j] of each value, whether it is known or not; of levels the most probable one.

    Where log p(x_j | x_-j) (`tb.score`) says that a value is unlikely, this is what it might have
    been. It costs as many rows as a row has values.

    Args:
        model: p(x, z).
        posterior: q(z|x); None for a model of finitely many z.
        x: Data of shape (n, *item), NaN where values are missing; or a source of them.
        k: Draws of z for each copy of a row.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: A model of the mask, or as for `tb.tasks.predictive`.
        NonFiniteError: A log-weight is NaN or +inf.
    """
    run = Execution.of(expected_given_rest, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    of_values_alone(model, "what is expected of each value given others")
    (k,) = at_least(1, k=k)
    rows = rows_of(model, x, run.key, run.binarize)
    n, d = rows.known.shape
    row, place = (axis.ravel() for axis in np.indices((n, d)))
    known = rows.known[row] & (np.arange(d) != place[:, None])
    shown = rows.at(row, known)
    found = predictive(
        model,
        posterior,
        shown.source(model),
        draws=1,
        k=k,
        key=run.key,
        batch_size=run.batch_size,
        progress=run.progress,
    )
    means = found.mean.reshape(n * d, d)[np.arange(n * d), place]
    return means.reshape(rows.values.shape)
