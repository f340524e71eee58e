"""What comes behind the end of sequences: draws, what is expected, and intervals for each value.

States up to the end are draws of q(z|x) with their weights, and the states behind it those of the
transition. Each sequence is forecast from its own end on.

Reference: Durbin & Koopman 2012, Time Series Analysis by State Space Methods, sections 4.11 and
11.4 (forecasts as missing values; importance sampling).
Bias: that of `predictive`, and what the model has wrong.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from jaxtyping import Float, Int

from tightbound.core.errors import UsageError, at_least
from tightbound.data import DataLike
from tightbound.data.sequences import lengths_of
from tightbound.evidence.execution import ExecutionSettings
from tightbound.models import Model
from tightbound.models.source import as_source
from tightbound.tasks.marginals import single
from tightbound.tasks.predictive import K, predictive


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """Values of n sequences at the steps behind their ends."""

    draws: Float[np.ndarray, "m n horizon d"]
    """m draws of equal weight of all steps together."""
    mean: Float[np.ndarray, "n horizon d"]
    """What is expected, by all k draws of z: the mean of `draws` but for their noise."""
    low: Float[np.ndarray, "n horizon d"]
    """Lower end of the central interval of each value by itself."""
    high: Float[np.ndarray, "n horizon d"]
    level: float
    """Probability of the intervals."""
    ends: Int[np.ndarray, " n"]
    """The steps of each sequence: the first one that is forecast, counted from 0."""
    log_evidence: Float[np.ndarray, " n"]
    """Log p(x) of each sequence in nats, by the same draws of z."""
    ess: Float[np.ndarray, " n"]
    """Effective number of draws of z, of k."""
    khat: Float[np.ndarray, " n"]
    """Shape of the weights' tail: beyond 0.7 draws of z are too few, whatever their number."""
    k: int


def forecast(
    model: Any,
    posterior: Any,
    x: DataLike,
    *,
    horizon: int,
    draws: int = 200,
    level: float = 0.95,
    k: int = K,
    **execution: Unpack[ExecutionSettings],
) -> Forecast:
    """Draws what comes behind the last known step of each sequence.

    Args:
        model: p(x, z) with steps, as of `tb.sequence_model` or `tb.models.linear_state_space`.
        posterior: q(z|x), whose `steps` say how long paths are, as of `tb.sequence_model`.
        x: Sequences of shape (n, steps, d), NaN where values are missing.
        horizon: How many steps are forecast, also beyond those that the model was built for.
        draws: Draws of each, behind the intervals.
        level: Probability of the intervals.
        k: Draws of z for each sequence, of which they are chosen by their weights.
        execution: As for `tb.tasks.predictive`.

    Raises:
        UsageError: Parts without steps, a horizon below one, fewer draws than the intervals need,
            or as for `tb.tasks.predictive`.
    """
    (horizon,) = at_least(1, horizon=horizon)
    model = single(model)
    for part in (model.prior, model.likelihood, posterior):
        if not isinstance(getattr(part, "steps", None), int):
            raise UsageError(
                "a forecast goes on step by step: expected parts with steps, as of "
                f"tb.sequence_model, got {type(part).__name__}"
            )
    source = as_source(model, x, "the sequences", execution.get("binarize", "auto"))
    execution["binarize"] = _again(source)
    values = source.read()
    ends = lengths_of(values)
    longer = np.full((len(values), int(ends.max()) + horizon, values.shape[2]), np.nan, np.float32)
    shown = min(values.shape[1], longer.shape[1])
    longer[:, :shown] = values[:, :shown]
    model, posterior = _of_steps(model, posterior, longer.shape[1])
    found = predictive(model, posterior, longer, draws=draws, k=k, **execution)
    low, high = found.interval(level)
    places = ends[:, None] + np.arange(horizon)
    rows = np.arange(len(ends))[:, None]
    return Forecast(
        draws=found.draws[:, rows, places],
        mean=found.mean[rows, places],
        low=low[rows, places],
        high=high[rows, places],
        level=level,
        ends=ends,
        log_evidence=found.log_evidence,
        ess=found.ess,
        khat=found.khat,
        k=k,
    )


def _of_steps(model: Model, posterior: Any, steps: int) -> tuple[Model, Any]:
    """The same laws for sequences of so many steps."""
    prior, likelihood, posterior = (
        dataclasses.replace(part, steps=steps)
        for part in (model.prior, model.likelihood, posterior)
    )
    return dataclasses.replace(model, prior=prior, likelihood=likelihood), posterior


def _again(source: Any) -> str:
    """The binarisation of a source, as a word."""
    of = source.binarisation
    return f"fixed:{of.seed}" if of.mode == "fixed" else of.mode
