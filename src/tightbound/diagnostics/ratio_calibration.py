"""How far the classifiers of an implicit objective can be trusted, on draws they have not seen.

Reference: Niculescu-Mizil & Caruana 2005, ICML (reliability diagrams); Naeini, Cooper &
Hauskrecht 2015, AAAI (expected calibration error); Huszar 2017, arXiv 1702.08235 (the log-ratio is
a classifier's logit).
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key, first_keys, stream
from tightbound.data import DataLike
from tightbound.data.binarise import evaluated_key
from tightbound.models.source import as_source, nothing
from tightbound.objectives.holes import check_data
from tightbound.objectives.implicit.nested import Nested
from tightbound.training.fit import Run


class Calibration(NamedTuple):
    """A classifier's quality on fresh draws of both sides, as many of each."""

    loss: float
    """Cross-entropy in nats; log 2 = 0.693 where it knows nothing."""
    accuracy: float
    """Share of the draws whose side it gets right."""
    predicted: Float[np.ndarray, " bins"]
    """Mean predicted probability of the first side in bins of it; NaN in empty bins."""
    observed: Float[np.ndarray, " bins"]
    """Share of draws in each bin that are of the first side."""
    counts: Float[np.ndarray, " bins"]
    """Draws in each bin."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of predicted and observed, over the draws."""
        gaps = np.abs(self.predicted - self.observed) * self.counts
        return float(np.nansum(gaps) / np.sum(self.counts))

    def summary(self) -> str:
        """The numbers in one line."""
        return (
            f"classifier on {int(np.sum(self.counts))} fresh draws: cross-entropy {self.loss:.3f} "
            f"nats (0.693 knows nothing), accuracy {self.accuracy:.1%}, calibration error "
            f"{self.error:.3f}"
        )


def ratio_calibration(
    run: Run,
    objective: Nested,
    x: DataLike | None = None,
    *,
    draws: int = 10_000,
    bins: int = 10,
    replica: int = 0,
    key: int | PRNGKeyArray = 0,
    binarize: str = "auto",
) -> list[Calibration]:
    """Measures each classifier of an adversarial objective on fresh draws.

    Args:
        run: What `tb.fit` or `tb.load` returned.
        objective: The objective it was fitted with; noise that falls is that of the last epoch.
        x: Held-out data of shape (n, d), which are gone through as often as the draws need; none
            for a `Target`.
        draws: Draws of each side.
        bins: Bins of the predicted probability.
        replica: Which replica.
        key: Seed or key of the draws.
        binarize: As for `tb.fit`; "dynamic" draws each item once, by its row.

    Returns:
        One calibration for each classifier, in the order of the objective's terms.

    Raises:
        UsageError: An objective without a classifier, or a run without its networks.
    """
    at_least(1, draws=draws, bins=bins)
    if not run.objective_states:
        raise UsageError(f"expected a run with classifiers, got one fitted by {run.objective}")
    data = nothing(1) if x is None else as_source(run.model, x, "the held-out data", binarize)
    check_data(run.replicas[replica], objective, data)
    shown = data.seen(np.arange(draws) % len(data), key=evaluated_key(key))
    # With the noise that the classifiers were last trained at.
    sides = objective.at(run.epochs_run - 1).classified(
        run.replicas[replica],
        run.objective_states[replica],
        shown.x,
        first_keys(stream(as_key(key), "ratio_calibration.draws"), draws),
    )
    if not sides:
        raise UsageError(f"{objective.description} has no classifier to calibrate")
    return [_calibration(np.asarray(a), np.asarray(b), bins) for a, b in sides]


def _calibration(
    first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"], bins: int
) -> Calibration:
    logits = np.concatenate([first, second]).astype(np.float64)
    labels = np.concatenate([np.ones(len(first)), np.zeros(len(second))])
    probability = np.asarray(jax.nn.sigmoid(logits), np.float64)
    losses = np.logaddexp(0.0, np.where(labels == 1, -logits, logits))
    which = np.minimum((probability * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins).astype(np.float64)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(which, probability, minlength=bins) / counts
        observed = np.bincount(which, labels, minlength=bins) / counts
    right = float(np.mean((logits > 0) == (labels == 1)))
    return Calibration(float(losses.mean()), right, predicted, observed, counts)
