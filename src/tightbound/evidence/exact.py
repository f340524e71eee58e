"""Log p(x) of models with a finite latent variable, by summing over all of its values.

Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3.
Bias: none but that of rounding, about 1e-7 of log p(x) in single precision.
"""

import math
import time
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.data import check_values
from tightbound.data.binarise import resolve
from tightbound.errors import at_least
from tightbound.evidence.width import check_width
from tightbound.models.finite import check_finite, items_at_once, log_evidence
from tightbound.models.model import Model
from tightbound.progress import Progress
from tightbound.randomness import as_key

_log_evidence = eqx.filter_jit(log_evidence)


class ExactEvidence(NamedTuple):
    """Log-evidence per datum in nats, larger is better; no estimate, and so no error of its own."""

    log_evidence: Float[np.ndarray, " n"]
    """Log p(x)."""
    states: int
    """Number of latent values in the sum."""
    binarisation: str
    seconds: float

    @property
    def mean(self) -> float:
        """Mean log-evidence over the data, in nats."""
        return float(np.mean(self.log_evidence, dtype=np.float64))

    @property
    def stderr_data(self) -> float:
        """Standard error of the mean from the finite number of data."""
        n = len(self.log_evidence)
        if n == 1 or not np.all(np.isfinite(self.log_evidence)):
            return math.nan
        return float(np.std(self.log_evidence, ddof=1, dtype=np.float64) / np.sqrt(n))

    def summary(self) -> str:
        """The result in two lines, with unit, direction, states and binarisation."""
        return (
            f"log p(x) = {self.mean:.4f} nats per datum (exact: the sum over {self.states} latent "
            f"values, n={len(self.log_evidence)}; binarisation: {self.binarisation})\n"
            f"  standard error {self.stderr_data:.4f} from the data, none from draws"
        )


def exact(
    model: Model,
    x: Float[np.ndarray, "n d"],
    *,
    key: int | PRNGKeyArray = 0,
    binarize: str = "auto",
    batch_size: int | None = None,
    progress: bool | None = None,
) -> ExactEvidence:
    """Computes log p(x) of each datum by enumeration; memory does not grow with n.

    Args:
        model: p(x, z) with a `Categorical` prior or a `BernoulliPrior`.
        x: Data of shape (n, d).
        key: Seed or key of the binarisation; nothing else is drawn.
        binarize: As for `fit`; "dynamic" draws each item once, by its row, as `tb.evaluate` does
            with the same key.
        batch_size: Data at once; by default what keeps n times states times d below 2^23.
        progress: Show a progress bar on standard error; by default if that is a terminal.

    Raises:
        UsageError: A prior that cannot be enumerated, data outside the likelihood's support (row
            and column are named), or wrong sizes.
    """
    states = check_finite(model).states
    check_values(x, "real", "the data to evaluate")
    check_width(model, x, "the data to evaluate")
    batch_size = items_at_once(model, x.shape[1]) if batch_size is None else batch_size
    at_least(1, batch_size=batch_size)
    binarisation = resolve(binarize, model.likelihood.support, x, "the data to evaluate")
    binarise_key, _ = jax.random.split(as_key(key))
    began, n, batches = time.perf_counter(), len(x), []
    batch_size = min(batch_size, n)
    with Progress("summing", -(-n // batch_size), shown=progress) as bar:
        for first in range(0, n, batch_size):
            # The last batch is filled up with its last item, so that all have one shape.
            items = np.minimum(np.arange(first, first + batch_size), n - 1)
            values = binarisation(
                jnp.asarray(x[items], jnp.float32), jnp.asarray(items), use=0, key=binarise_key
            )
            batches.append(np.asarray(_log_evidence(model, values)[: n - first]))
            bar.advance()
    return ExactEvidence(
        log_evidence=np.concatenate(batches),
        states=states,
        binarisation=binarisation.once,
        seconds=time.perf_counter() - began,
    )
