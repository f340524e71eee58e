"""What all evidence estimators share: batches of data in one shape, and means over the data."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.data.binarise import Binarisation
from tightbound.progress import Progress


def in_batches(
    estimate: Callable[[Float[Array, "b d"], Int[Array, " b"]], Any],
    x: Float[np.ndarray, "n d"],
    binarisation: Binarisation,
    *,
    key: PRNGKeyArray,
    batch_size: int,
    doing: str,
    progress: bool | None,
) -> Any:
    """Calls `estimate(values, rows)` batch by batch; its arrays come back whole, on the host.

    Args:
        estimate: Gives arrays (or a tree of them) with one entry per datum.
        x: Data of shape (n, d).
        binarisation: How values are drawn from them, once, by their row.
        key: Key of the binarisation.
        batch_size: Data at once.
        doing: What the progress bar says.
        progress: Show it on standard error; by default if that is a terminal.
    """
    n, batches = len(x), []
    batch_size = min(batch_size, n)
    with Progress(doing, -(-n // batch_size), shown=progress) as bar:
        for first in range(0, n, batch_size):
            # The last batch is filled up with its last item, so that all have one shape.
            rows = np.minimum(np.arange(first, first + batch_size), n - 1)
            items = jnp.asarray(rows)
            values = binarisation(jnp.asarray(x[rows], jnp.float32), items, use=0, key=key)
            batch = estimate(values, items)
            batches.append(jax.tree.map(lambda a, m=n - first: np.asarray(a[:m]), batch))
            bar.advance()
    return jax.tree.map(lambda *parts: np.concatenate(parts), *batches)


def mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """The mean over the data, summed in double precision."""
    return float(np.mean(log_evidence, dtype=np.float64))


def stderr_of_mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """Standard error of the mean from the finite number of data; NaN where there is none."""
    n = len(log_evidence)
    if n == 1 or not np.all(np.isfinite(log_evidence)):
        return math.nan
    return float(np.std(log_evidence, ddof=1, dtype=np.float64) / np.sqrt(n))
