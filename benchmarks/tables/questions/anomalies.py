"""Anomalies by a score that was fitted without labels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from benchmarks.tables import data
from benchmarks.tables.question import Measure, Question

TEST = 0.4
ALL, NORMAL = "all", "normal"
"""Fitted to all training rows, or to the normal ones among them."""


@dataclass(frozen=True)
class Rows:
    """What a detector is given."""

    train: Float[np.ndarray, "n d"]
    test: Float[np.ndarray, "m d"]
    clean: bool
    """Whether training rows are known to be normal: then p-values can be asked for."""


@dataclass(frozen=True)
class Scored:
    """A detector's answer: large for anomalies."""

    score: Float[np.ndarray, " m"]
    p_value: Float[np.ndarray, " m"] | None = None


@dataclass(frozen=True)
class PosedRows:
    """Rows, and which of the test rows are anomalies."""

    seen: Rows
    anomaly: Bool[np.ndarray, " m"]


def _pose(problem: str, setting: str, seed: int) -> PosedRows:
    x, anomaly = data.outliers(problem)
    split = train_test_split(x, anomaly, test_size=TEST, random_state=seed, stratify=anomaly)
    train, test, of_train, of_test = map(np.asarray, split)
    clean = setting == NORMAL
    return PosedRows(Rows(train[~of_train] if clean else train, test, clean), of_test)


def judged(asked: PosedRows, answer: Scored) -> dict[str, float | None]:
    """The area under the curve, and how far p-values of normal rows are from uniform ones."""
    found: dict[str, float | None] = {
        "auc": float(roc_auc_score(asked.anomaly, answer.score)),
        "distance": None,
        "below": None,
    }
    if answer.p_value is not None:
        inliers = answer.p_value[~asked.anomaly]
        found["distance"] = float(stats.kstest(inliers, "uniform").statistic)
        found["below"] = float(np.mean(inliers <= 0.05))
    return found


ANOMALIES = Question(
    "anomalies",
    "ADBench tables, 60 % of rows to fit without labels (all, or the normal ones alone), 40 % to "
    "score; `train_test_split(test_size=0.4, random_state=seed, stratify=y)`.",
    "score",
    data.ADBENCH,
    (ALL, NORMAL),
    lambda problem: 10,
    _pose,
    judged,
    (
        Measure("auc", "area under the ROC curve", "high", averaged=True),
        Measure("distance", "p-values of normal test rows: Kolmogorov-Smirnov distance", ""),
        Measure("below", "p-values of normal test rows: share up to 0.05", ""),
        Measure("seconds", "seconds of one processor", "", 1),
    ),
)
