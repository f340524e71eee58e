"""Log p(x) of models with a finite latent variable, by summing over all of its values.

Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3.
Bias: none but that of rounding, about 1e-7 of log p(x) in single precision.
"""

import time
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.errors import at_least
from tightbound.evidence.per_datum import in_batches, mean, prepared, stderr_of_mean
from tightbound.models.finite import check_finite, items_at_once, log_evidence
from tightbound.models.model import Model

_summed = eqx.filter_jit(log_evidence)


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
        return mean(self.log_evidence)

    @property
    def stderr_data(self) -> float:
        """Standard error of the mean from the finite number of data."""
        return stderr_of_mean(self.log_evidence)

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
    data = prepared(model, x, binarize, key)
    batch_size = items_at_once(model, x.shape[1]) if batch_size is None else batch_size
    at_least(1, batch_size=batch_size)
    began = time.perf_counter()
    log_evidence = in_batches(
        lambda values, _: _summed(model, values),
        x,
        data,
        batch_size=batch_size,
        doing="summing",
        progress=progress,
    )
    return ExactEvidence(
        log_evidence=log_evidence,
        states=states,
        binarisation=data.binarisation.once,
        seconds=time.perf_counter() - began,
    )
