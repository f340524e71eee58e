"""What all evidence estimators share: batches of data in one shape, and means over the data."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.data import check_values
from tightbound.data.binarise import Binarisation, resolve
from tightbound.errors import at_least
from tightbound.models import Bayesian, Model
from tightbound.models.width import check_width
from tightbound.progress import Progress
from tightbound.randomness import as_key

CHAINS_AT_ONCE = 1600
"""Markov chains of all data together that move at once by default."""


class Prepared(NamedTuple):
    """Data that have passed the checks, how they become binary, and the keys of both."""

    binarisation: Binarisation
    binarise_key: PRNGKeyArray
    noise_key: PRNGKeyArray


def prepared(
    model: Model | Bayesian, x: np.ndarray, binarize: str, key: int | PRNGKeyArray
) -> Prepared:
    """Checks data against the model, once, on the host; all estimators binarise by the same key.

    Raises:
        UsageError: Data of another width, outside the likelihood's support (row and column are
            named), or an unknown binarisation.
    """
    what = "the data to evaluate"
    check_values(x, "real", what)
    check_width(model, x, what)
    binarisation = resolve(binarize, model.likelihood.support, x, what)
    return Prepared(binarisation, *jax.random.split(as_key(key)))


def in_batches(
    estimate: Callable[[Float[Array, "b d"], Int[Array, " b"]], Any],
    x: Float[np.ndarray, "n d"],
    data: Prepared,
    *,
    batch_size: int,
    doing: str,
    progress: bool | None,
) -> Any:
    """Calls `estimate(values, rows)` batch by batch; its arrays come back whole, on the host.

    Args:
        estimate: Gives arrays (or a tree of them) with one entry per datum.
        x: Data of shape (n, d).
        data: How values are drawn from them, once, by their row.
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
            batch = estimate(*drawn(x, rows, data))
            batches.append(jax.tree.map(lambda a, m=n - first: np.asarray(a[:m]), batch))
            bar.advance()
    return jax.tree.map(lambda *parts: np.concatenate(parts), *batches)


def drawn(
    x: Float[np.ndarray, "n d"], rows: Int[np.ndarray, " b"], data: Prepared
) -> tuple[Float[Array, "b d"], Int[Array, " b"]]:
    """The values of some rows, binarised as all estimators do, and the rows on the device."""
    items = jnp.asarray(rows)
    values = jnp.asarray(x[rows], jnp.float32)
    return data.binarisation(values, items, use=0, key=data.binarise_key), items


def data_at_once(batch_size: int | None, *, draws: int, at_once: int) -> int:
    """The batch size that was given, or what has `at_once` draws of all data together.

    Raises:
        UsageError: batch_size < 1.
    """
    batch_size = max(1, at_once // draws) if batch_size is None else batch_size
    at_least(1, batch_size=batch_size)
    return batch_size


def mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """The mean over the data, summed in double precision."""
    return float(np.mean(log_evidence, dtype=np.float64))


def stderr_of_mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """Standard error of the mean from the finite number of data; NaN where there is none."""
    n = len(log_evidence)
    if n == 1 or not np.all(np.isfinite(log_evidence)):
        return math.nan
    return float(np.std(log_evidence, ddof=1, dtype=np.float64) / np.sqrt(n))


def stderr_of_draws(stderr: Float[np.ndarray, " n"]) -> float:
    """Standard error of the mean from the finite number of draws of each datum."""
    return float(np.sqrt(np.sum(stderr**2)) / len(stderr))
