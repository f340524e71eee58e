"""Likelihood weighting: importance sampling with the prior as proposal.

Reference: Wu, Burda, Salakhutdinov & Grosse 2016, arXiv 1611.04273, eq. 6.
Bias: E[p-hat] = p(x) exactly; the log is a stochastic lower bound, and a poor one wherever the
posterior is much narrower than the prior: few draws, or none, then carry all the weight.
"""

from dataclasses import replace
from typing import Unpack

from tightbound.core.errors import at_least
from tightbound.data import DataLike
from tightbound.evidence.estimator import estimator
from tightbound.evidence.evaluate import Evaluation, evaluate
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models.model import Model


def prior_sampling(
    model: Model,
    x: DataLike | None = None,
    *,
    k: int = 5000,
    **execution: Unpack[ExecutionSettings],
) -> Evaluation:
    """Estimates log p(x) of each datum from k draws of the prior; nats, a lower bound.

    Args:
        model: p(x, z).
        x: Data of shape (n, d); none for a `Target`, which needs a prior.
        k: Draws per datum.
        execution: `key`, `binarize`, `batch_size`, `chunk`, `progress`, `resume` and `keep`, as
            for `tb.evaluate`: see `tb.evidence.Execution`.

    Raises:
        UsageError: As for `tb.evaluate`.
    """
    Execution.of(prior_sampling, execution)
    (k,) = at_least(1, k=k)
    found = evaluate(model, model.prior, x, k=k, **execution)
    return replace(found, method=f"{k} draws of the prior, weighted by the likelihood")


PriorSampling = estimator("PriorSampling", prior_sampling)
"""`prior_sampling` with its settings, as a value: see `tb.evaluate(by=...)`."""
