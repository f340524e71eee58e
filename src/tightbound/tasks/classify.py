"""Which label a datum has: p(y|x) by Bayes' rule, from log p(x, y) of every label.

p(y|x) = p(y) p(x|y) / p(x), with p(x|y) = E_{q(z|x, y)}[p(x, z|y) / q(z|x, y)] by draws of its own
for each label. The classifier q(y|x), which only proposes, stands beside it.

Reference: Kingma, Rezende, Mohamed & Welling 2014, arXiv 1406.5298, section 3.1 (what q(y|x) is
for); Guo, Pleiss, Sun & Weinberger 2017, arXiv 1706.04599, eq. 9 (temperature scaling) and section
2 (expected calibration error).
Bias: log p(x, y) of each label is low by about stderr^2 / 2, so that labels whose q(z|x, y) fits
badly look less likely than they are.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import beta

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, One
from tightbound.core.streams import item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import LabelledPosterior, OverLabels
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.models import Model
from tightbound.models.labelled import log_weights_by_label
from tightbound.tasks.marginals import single
from tightbound.tasks.predictive import NUMBERS, mean_weight

K = 100
BINS = 15
"""Of confidence, for the calibration error."""
LEAST = float(np.finfo(np.float32).smallest_subnormal)
LIMITS = (-5.0, 5.0)
"""Of the logarithm of a temperature."""


class Accuracy(NamedTuple):
    """How good probabilities of labels are, on data whose labels are known."""

    error: float
    """Share of data whose most probable label is another."""
    low: float
    """Lower end of the exact 95 % interval of the error (Clopper & Pearson 1934)."""
    high: float
    nll: float
    """Mean of -log p(label) in nats."""
    calibration_error: float
    """Mean distance of confidence and accuracy over 15 bins of confidence, by their shares."""
    n: int

    def summary(self) -> str:
        """All of it in a line."""
        return (
            f"error {self.error:.2%} [{self.low:.2%}, {self.high:.2%}] on {self.n:,} labels, "
            f"-log p(y|x) {self.nll:.4f} nats, calibration error {self.calibration_error:.4f}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Classified:
    """The labels of n data, by their probabilities."""

    log_joint: Float[np.ndarray, "n classes"]
    """Log p(x, y) of each label in nats, by importance sampling."""
    stderr: Float[np.ndarray, "n classes"]
    """Its standard error."""
    ess: Float[np.ndarray, "n classes"]
    """Effective number of draws, of k."""
    proposed: Float[np.ndarray, "n classes"]
    """Q(y|x), the classifier's own probabilities."""
    temperature: float
    """By which log p(x, y) is divided before Bayes' rule; 1 is the rule itself."""
    k: int

    @property
    def probs(self) -> Float[np.ndarray, "n classes"]:
        """p(y|x) of each label."""
        return np.exp(self._log_probs(self.temperature))

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        """The most probable one."""
        return np.argmax(self.log_joint, axis=1)

    @property
    def log_evidence(self) -> Float[np.ndarray, " n"]:
        """Log p(x) in nats, the labels summed over."""
        return np.logaddexp.reduce(self.log_joint, axis=1)

    def accuracy(self, labels: ArrayLike) -> Accuracy:
        """How good the probabilities are, by n true labels from 0, and -1 where one is not known.

        Raises:
            UsageError: Labels that are not one for each datum, are no class, or are all unknown.
        """
        rows, true = self._known(labels)
        return _accuracy(self._log_probs(self.temperature)[rows], true)

    def accuracy_proposed(self, labels: ArrayLike) -> Accuracy:
        """The same of q(y|x) alone.

        Raises:
            UsageError: As for `accuracy`.
        """
        rows, true = self._known(labels)
        # What single precision rounds to zero counts as its least number.
        log_q = np.log(np.maximum(self.proposed.astype(np.float64), LEAST))
        return _accuracy(log_q[rows], true)

    def calibrated(self, labels: ArrayLike) -> "Classified":
        """The same with the temperature at which these labels are most likely.

        Labels that neither training nor the last test has seen; p(y|x) of other data then take
        `classify(..., temperature=found.temperature)`.

        Raises:
            UsageError: As for `accuracy`.
        """
        rows, true = self._known(labels)

        def nll(log_temperature: float) -> float:
            log_p = self._log_probs(np.exp(log_temperature))[rows]
            return -float(np.mean(log_p[np.arange(len(true)), true]))

        best: Any = minimize_scalar(nll, bounds=LIMITS, method="bounded", options={"xatol": 1e-4})
        return replace(self, temperature=float(np.exp(best.x)))

    def _log_probs(self, temperature: float) -> Float[np.ndarray, "n classes"]:
        return log_softmax(self.log_joint.astype(np.float64) / temperature, axis=1)

    def _known(self, labels: ArrayLike) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """Which data have a label, and which it is."""
        found = np.asarray(labels)
        n, classes = self.log_joint.shape
        if found.shape != (n,) or not np.isin(found, np.arange(-1, classes)).all():
            raise UsageError(
                f"expected {n} labels from 0 to {classes - 1}, one for each datum (-1 where it is "
                f"not known), got an array of shape {found.shape} and type {found.dtype}"
            )
        rows = np.flatnonzero(found >= 0)
        if not len(rows):
            raise UsageError(f"expected a label that is known, got {n} of -1")
        return rows, found[rows].astype(int)


def classify(
    model: Any,
    posterior: Any,
    x: DataLike,
    *,
    k: int = K,
    temperature: float = 1.0,
    **execution: Unpack[ExecutionSettings],
) -> Classified:
    """p(y|x) of each label and datum, whatever labels data have.

    Args:
        model: p(x, z) with a label that is summed over, as of `tb.models.labelled`.
        posterior: q(z|x), of the same.
        x: Data of shape (n, *item), NaN where values are missing; or a source of them.
        k: Draws of z for each datum and label.
        temperature: As `Classified.calibrated` finds it on other data; 1 leaves Bayes' rule alone.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Other parts, k < 1, a temperature that is not positive, or data that are not
            for the model.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(classify, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    (k,) = at_least(1, k=k)
    if not 0 < temperature < np.inf:
        raise UsageError(f"expected temperature > 0, got {temperature}")
    parts = isinstance(model.likelihood, OverLabels), isinstance(posterior, LabelledPosterior)
    if not all(parts):
        raise UsageError(
            "classify needs a model with labels: expected both parts of tb.models.labelled, got "
            f"{type(model.likelihood).__name__} and {type(posterior).__name__}; of a table's "
            "column with levels there is tb.tasks.level_probabilities"
        )
    data = prepared(model, x, run.binarize, run.key)

    def one_batch(seen: Data, rows: Int[Array, " b"]) -> Batch:
        keys = item_keys(stream(data.noise_key, "classify.z"), rows)
        return Batch(*_classified(model, posterior, seen, keys, k=k))

    each = k * posterior.components * max(1, data.source.size)
    log_joint, stderr, ess, proposed = run.over(
        one_batch, data, doing="classifying", at_once=per_device(NUMBERS, of_each=each)
    )
    return Classified(
        log_joint=log_joint,
        stderr=stderr,
        ess=ess,
        proposed=proposed,
        temperature=float(temperature),
        k=k,
    )


@filter_jit
def _classified(
    model: Model, posterior: LabelledPosterior, x: Data, keys: Key[Array, " n"], *, k: int
) -> tuple[tuple[Array, ...], Int[Array, " n"]]:
    def one(x: One, key: PRNGKeyArray) -> tuple[tuple[Array, ...], Int[Array, ""]]:
        log_w = log_weights_by_label(model, posterior, x, key, k)
        log_p, stderr, ess = jax.vmap(mean_weight)(log_w)
        undefined = jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf))
        proposed = jnp.exp(posterior.log_shares(x))
        return (log_p + model.likelihood.log_prior, stderr, ess, proposed), undefined

    return jax.vmap(one)(x, keys)


def _accuracy(log_p: Float[np.ndarray, "n classes"], true: Int[np.ndarray, " n"]) -> Accuracy:
    n = len(true)
    said, sure = np.argmax(log_p, axis=1), np.exp(np.max(log_p, axis=1))
    wrong = int(np.sum(said != true))
    low = beta.ppf(0.025, wrong, n - wrong + 1) if wrong else 0.0
    high = beta.ppf(0.975, wrong + 1, n - wrong) if wrong < n else 1.0
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    away = np.bincount(bins, sure - (said == true), BINS)
    return Accuracy(
        error=wrong / n,
        low=float(low),
        high=float(high),
        nll=-float(np.mean(log_p[np.arange(n), true])),
        calibration_error=float(np.sum(np.abs(away)) / n),
        n=n,
    )
