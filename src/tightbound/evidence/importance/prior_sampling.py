"""Likelihood weighting: importance sampling with the prior as proposal.

Reference: Wu, Burda, Salakhutdinov & Grosse 2016, arXiv 1611.04273, eq. 6.
Bias: E[p-hat] = p(x) exactly; the log is a stochastic lower bound, and a poor one wherever the
posterior is much narrower than the prior: few draws, or none, then carry all the weight.
"""

from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import at_least
from tightbound.data import DataLike
from tightbound.evidence.estimate import Estimate, result_codes
from tightbound.evidence.estimator import estimator
from tightbound.evidence.evaluate import evaluate
from tightbound.models.model import Model


def prior_sampling(
    model: Model,
    x: DataLike | None = None,
    *,
    k: int = 5000,
    key: int | PRNGKeyArray = 0,
    **options: Any,
) -> Estimate:
    """Estimates log p(x) of each datum from k draws of the prior; nats, a lower bound.

    Args:
        model: p(x, z).
        x: Data of shape (n, d); none for a `Target`, which needs a prior.
        k: Draws per datum.
        key: Seed or key of draws and binarisation.
        options: `binarize`, `batch_size`, `chunk` and `progress`, as for `tb.evaluate`.

    Raises:
        UsageError: As for `tb.evaluate`.
    """
    (k,) = at_least(1, k=k)
    ev = evaluate(model, model.prior, x, k=k, key=key, **options)
    return Estimate(
        log_evidence=ev.log_evidence,
        stderr=ev.stderr,
        ess=ev.ess,
        result=np.asarray(result_codes(ev.log_evidence, ev.ess, k)),
        direction="lower",
        method=f"{k} draws of the prior, weighted by the likelihood",
        draws=k,
        binarisation=ev.binarisation,
        diagnostics={"khat": ev.khat},
        seconds=ev.seconds,
        rounding=ev.rounding,
    )


PriorSampling = estimator("PriorSampling", prior_sampling)
"""`prior_sampling` with its settings, as a value: see `tb.evaluate(by=...)`."""
