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
from tightbound.models import Bayesian, Model
from tightbound.models.width import check_width
from tightbound.progress import Progress
from tightbound.randomness import as_key


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
            items = jnp.asarray(rows)
            batch = estimate(drawn(x, items, data), items)
            batches.append(jax.tree.map(lambda a, m=n - first: np.asarray(a[:m]), batch))
            bar.advance()
    return jax.tree.map(lambda *parts: np.concatenate(parts), *batches)


def drawn(
    x: Float[np.ndarray, "n d"], items: Int[Array, " b"], data: Prepared
) -> Float[Array, "b d"]:
    """The values of some rows, binarised as all estimators do."""
    rows = jnp.asarray(x[np.asarray(items)], jnp.float32)
    return data.binarisation(rows, items, use=0, key=data.binarise_key)


def mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """The mean over the data, summed in double precision."""
    return float(np.mean(log_evidence, dtype=np.float64))


def stderr_of_mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """Standard error of the mean from the finite number of data; NaN where there is none."""
    n = len(log_evidence)
    if n == 1 or not np.all(np.isfinite(log_evidence)):
        return math.nan
    return float(np.std(log_evidence, ddof=1, dtype=np.float64) / np.sqrt(n))
