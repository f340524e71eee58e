"""scikit-learn's `GaussianMixture`, its K chosen by rows it was not fitted to."""

import warnings

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.tables.questions.anomalies import Rows, Scored
from benchmarks.tables.questions.density import Split

TRIED = (1, 2, 3, 5, 8, 12, 20, 30)


def score(rows: Rows, seed: int) -> Scored:
    parts = train_test_split(rows.train, test_size=0.1, random_state=seed)
    train, validation = map(np.asarray, parts)
    return Scored(-log_density(Split(train, validation, rows.test), seed))


def log_density(split: Split, seed: int) -> Float[np.ndarray, " m"]:
    warnings.simplefilter("ignore", ConvergenceWarning)
    scaler = StandardScaler().fit(split.train)
    train, validation = scaler.transform(split.train), scaler.transform(split.validation)
    fits = [
        GaussianMixture(k, reg_covar=1e-4, random_state=seed).fit(train)
        for k in TRIED
        if k < len(train) / 2
    ]
    best = max(fits, key=lambda fit: fit.score(validation))
    scale = np.asarray(scaler.scale_)
    return best.score_samples(scaler.transform(split.test)) - np.log(scale).sum()
