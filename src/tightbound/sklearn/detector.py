"""Outliers: rows of low density, with a threshold that rows which were held out of the fit set.

A row's score is the least of log p under the model of the rows and under one Gaussian of them. The
Gaussian is for outliers among the rows of the fit: where they are many and alike a model that is
rich enough has a component for them, and finds them usual; in one ellipse they stay far out. The
model is for rows between groups, which one ellipse finds usual.

The threshold of `contamination="auto"` is conformal: a row is called an outlier where its p-value
beside the m held-out rows, (1 + #{scores of theirs <= its own}) / (m + 1), is at most 5 %. Of rows
that are exchangeable with them, holes and all, at most 5 % are, whatever the model is.

Reference: Vovk, Gammerman & Shafer 2005; Bates et al. 2023, arXiv 2104.08279 (see `tb.score`).
Bias: none in p-values; each log p is as that of `tb.score`.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray
from sklearn.base import OutlierMixin

from tightbound.core.errors import UsageError
from tightbound.core.streams import as_key, stream
from tightbound.recipes.tables import LEAST_ROWS
from tightbound.sklearn.base import TableEstimator
from tightbound.tasks import score
from tightbound.tasks.comparison import compared_known
from tightbound.tasks.marginals import Rows
from tightbound.training import Run

GAUSSIAN = "gaussian"
"""The candidate that rows are scored by beside what was chosen."""
LEVEL = 0.05
"""Share of false alarms of `contamination="auto"`."""


class DeepDetector(OutlierMixin, TableEstimator):
    """Calls rows outliers whose density is low under a model of most of the rows.

    The score is the least log p(x_observed) of two: of the model that is found, and of one Gaussian
    (with tables of levels), which outliers among the rows of the fit mislead less.

    Args:
        contamination: The share of outliers in the rows of `fit`, above 0 and up to 0.5, which sets
            the threshold there. "auto" claims nothing of them: of new rows like those that were
            held out at most 5 % are called outliers (of fewer than 19 held-out rows, at most one
            in as many and one more).
        calibration_fraction: Share of the rows that is held out of the fit, for thresholds and
            p-values.
        candidates: Names of the models to choose from; None for all.
        schema: What the columns of a frame are, where it is not as `tb.data` infers: a
            `tb.data.Schema`, a file of it, or words as for `tb.data.load`, such as
            {"count": ["children"]}.
        random_state: Seed of which rows are held out, of starts and of draws.

    Attributes:
        offset_: The score below which a row is an outlier.
        calibration_: The rows that were held out, as the model sees them.
        gaussian_: The Gaussian of the rows; None where the model is that.
    """

    calibration_: Float[np.ndarray, "m d"]
    offset_: float
    gaussian_: Run | None

    _runs = ("run_", "gaussian_")

    def __init__(
        self,
        *,
        contamination: Any = "auto",
        calibration_fraction: Any = 0.2,
        candidates: Any = None,
        schema: Any = None,
        random_state: Any = None,
    ) -> None:
        """Anything is taken, as scikit-learn asks of constructors: `fit` checks."""
        self.contamination = contamination
        self.calibration_fraction = calibration_fraction
        self.candidates = candidates
        self.schema = schema
        self.random_state = random_state

    def score_samples(self, X: Any) -> Float[np.ndarray, " n"]:
        """The least log p(x_observed) of each row, in nats: low for outliers.

        Raises:
            ValueError: Other columns than at fit, or levels that it did not have.
        """
        return self._least_log_p(self._checked(X)[1])

    def decision_function(self, X: Any) -> Float[np.ndarray, " n"]:
        """`score_samples` less `offset_`, in nats: below 0 for outliers.

        A row with holes has the density of fewer values; `p_values` compares it with rows under
        the same holes, and is to be preferred where some rows have many more than others.

        Raises:
            ValueError: As for `score_samples`.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Int[np.ndarray, " n"]:
        """-1 for outliers, and 1 for all other rows.

        Raises:
            ValueError: As for `score_samples`.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> Float[np.ndarray, " n"]:
        """The conformal p-value of each row, small for outliers; 1 where nothing can be said.

        If a row is an inlier, exchangeable with the rows that were held out, it is at most t with
        probability t at most. It cannot be below 1 / (m + 1) with m of them.

        Raises:
            ValueError: As for `score_samples`.
        """
        rows, inliers = Rows(self._checked(X)[1]), Rows(self.calibration_)
        scores = self._least_log_p(rows.values)
        return compared_known(self._of_calibration, rows, scores, inliers)[0]

    def _rows_to_fit(self, n: int) -> Bool[np.ndarray, " n"]:
        share, most = self.calibration_fraction, self.contamination
        if not (isinstance(share, float) and 0 < share < 1):
            raise UsageError(f"expected calibration_fraction between 0 and 1, got {share!r}")
        if most != "auto" and (isinstance(most, str) or not 0 < most <= 0.5):
            raise UsageError(
                f'expected contamination as "auto", or above 0 and up to 0.5, got {most!r}'
            )
        rows = np.ones(n, bool)
        held = max(1, min(round(share * n), n - LEAST_ROWS))
        rows[np.random.default_rng(self.seed_).permutation(n)[:held]] = False
        return rows

    def _after_fit(self, x: Float[np.ndarray, "n d"], rows: Bool[np.ndarray, " n"]) -> None:
        self.calibration_ = x[~rows]
        self.gaussian_ = None
        if self.choice_.chosen != GAUSSIAN:
            self.gaussian_ = self._found(x[rows], GAUSSIAN).run
        if isinstance(self.contamination, str):
            usual = np.sort(self._of_calibration(Rows(self.calibration_)))
            # The least score with a p-value above the level.
            allowed = math.floor(LEVEL * (len(usual) + 1) * (1 + 1e-12))
            self.offset_ = float(usual[max(allowed, 1) - 1])
        else:
            self.offset_ = float(np.quantile(self._least_log_p(x), self.contamination))

    def _of_calibration(self, rows: Rows) -> Float[np.ndarray, " m"]:
        key = stream(as_key(self.seed_), "detector.calibration")
        return self._least_log_p(rows.values, key)

    def _least_log_p(
        self, x: Float[np.ndarray, "n d"], key: PRNGKeyArray | None = None
    ) -> Float[np.ndarray, " n"]:
        key = as_key(self.seed_) if key is None else key
        runs = [run for run in (self.run_, self.gaussian_) if run is not None]
        found = [
            score(run.model, run.posterior, x, blame=[], key=key, progress=False) for run in runs
        ]
        return np.min([of.log_p for of in found], axis=0)
