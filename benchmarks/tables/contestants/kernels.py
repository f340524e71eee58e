"""scikit-learn's `KernelDensity`, its bandwidth chosen by validation rows."""

import numpy as np
from jaxtyping import Float
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from benchmarks.tables.questions.density import Split

BANDWIDTHS = np.geomspace(0.01, 3, 25)


def log_density(split: Split, seed: int) -> Float[np.ndarray, " m"]:
    scaler = StandardScaler().fit(split.train)
    train, validation = scaler.transform(split.train), scaler.transform(split.validation)
    fits = [KernelDensity(bandwidth=width).fit(train) for width in BANDWIDTHS]
    best = max(fits, key=lambda fit: fit.score(validation))
    scale = np.asarray(scaler.scale_)
    return best.score_samples(scaler.transform(split.test)) - np.log(scale).sum()
