"""What one Gaussian makes of the data: numbers that a model of real values is to be better than."""

import math

import numpy as np
from jaxtyping import Float

INDEPENDENT = "one Gaussian with independent columns"
FULL = "one Gaussian with a full covariance"


def gaussian_baselines(
    train: Float[np.ndarray, "n d"], x: Float[np.ndarray, "m d"]
) -> dict[str, float]:
    """Mean log-density of x in nats per item under Gaussians of most likelihood for `train`.

    Args:
        train: Rows that a Gaussian is fitted to.
        x: Rows that it is judged on.

    Returns:
        By name; without those that the training rows do not determine, and none where values are
        missing.
    """
    mean, scale = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    if np.isnan(x).any() or not np.all(np.ptp(train, axis=0) > 0):
        return {}
    u, seen = (train - mean) / scale, (x - mean) / scale
    constant = x.shape[1] / 2 * math.log(2 * math.pi) + float(np.log(scale).sum())
    found = {INDEPENDENT: float(-0.5 * np.mean(np.sum(seen**2, axis=1))) - constant}
    if len(train) <= train.shape[1]:
        return found
    try:
        factor = np.linalg.cholesky(u.T @ u / len(u))
    except np.linalg.LinAlgError:
        return found
    # A column that the others determine leaves a root that is nothing but rounding.
    if np.diagonal(factor).min() < math.sqrt(np.finfo(np.float32).eps):
        return found
    distance = np.sum(np.linalg.solve(factor, seen.T) ** 2, axis=0)
    volume = float(np.log(np.diagonal(factor)).sum())
    return found | {FULL: float(-0.5 * np.mean(distance)) - volume - constant}
