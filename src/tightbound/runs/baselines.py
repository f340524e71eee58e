"""What Gaussians make of the data: numbers that a model of real values is to be better than.

Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3 (the mixture, by scikit-learn;
with missing values by `tb.em`); Student 1908, Biometrika 6(1) (the paired interval).
"""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from tightbound.evidence import exact
from tightbound.models import gaussian_mixture
from tightbound.training import em

INDEPENDENT = "one Gaussian with independent columns"
FULL = "one Gaussian with a full covariance"
MIXTURE = "a mixture of {} Gaussians"
COMPONENTS = (2, 3, 5, 8, 12, 20)
"""Numbers of components that validation rows choose from."""
WITH_HOLES = (2, 4)
"""Those of data with missing values, whose fits take longer."""
ENTRIES = 200_000
"""Most numbers in the covariances of a mixture: beyond them its fit takes minutes."""
ITERATIONS = 100
REGULAR = 1e-6
"""Added to variances of standardised columns in a mixture, and least eigenvalue there."""


def gaussian_baselines(
    train: Float[np.ndarray, "n d"],
    x: Float[np.ndarray, "m d"],
    validation: Float[np.ndarray, "v d"] | None = None,
    key: int = 0,
) -> dict[str, Float[np.ndarray, " m"]]:
    """Log-density of each row of x in nats under Gaussians of most likelihood for `train`.

    Of missing values (NaN) nothing is counted.

    Args:
        train: Rows that a Gaussian is fitted to.
        x: Rows that it is judged on.
        validation: Rows that choose the number of a mixture's components; no mixture without.
        key: Seed of the mixture's starts.

    Returns:
        By name; without those that the training rows do not determine.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        mean = np.nanmean(train, axis=0, dtype=np.float64)
        scale = np.nanstd(train, axis=0, dtype=np.float64)
    if not np.all(scale > 0):
        return {}
    u, seen = (train - mean) / scale, (x - mean) / scale
    # The log-density of a row is that of its standardised known values, less their log-scales.
    units = np.sum(np.where(np.isnan(x), 0, np.log(scale)), axis=1)
    each = -0.5 * (seen**2 + math.log(2 * math.pi))
    found = {INDEPENDENT: np.nansum(each, axis=1)}
    tuned = None if validation is None or not len(validation) else (validation - mean) / scale
    if len(train) > train.shape[1]:
        holes = any(
            np.isnan(part).any() for part in (u, seen, *(() if tuned is None else (tuned,)))
        )
        found |= _with_holes(u, seen, tuned, key) if holes else _complete(u, seen, tuned, key)
    return {name: rows - units for name, rows in found.items()}


def _complete(
    u: Float[np.ndarray, "n d"],
    seen: Float[np.ndarray, "m d"],
    tuned: Float[np.ndarray, "v d"] | None,
    key: int,
) -> dict[str, Float[np.ndarray, " m"]]:
    try:
        factor = np.linalg.cholesky(u.T @ u / len(u))
    except np.linalg.LinAlgError:
        return {}
    # A column that the others determine leaves a root that is nothing but rounding.
    if np.diagonal(factor).min() < math.sqrt(np.finfo(np.float32).eps):
        return {}
    distance = np.sum(np.linalg.solve(factor, seen.T) ** 2, axis=0)
    volume = float(np.log(np.diagonal(factor)).sum()) + u.shape[1] / 2 * math.log(2 * math.pi)
    found = {FULL: -0.5 * distance - volume}
    if tuned is None:
        return found
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    fitted = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for components in _affordable(COMPONENTS, u):
            mixture = GaussianMixture(
                components, reg_covar=REGULAR, max_iter=ITERATIONS, random_state=key
            ).fit(u)
            fitted.append((float(mixture.score(tuned)), components, mixture))
    if fitted:
        _, components, mixture = max(fitted, key=lambda of: of[0])
        found[MIXTURE.format(components)] = mixture.score_samples(seen)
    return found


def _with_holes(
    u: Float[np.ndarray, "n d"],
    seen: Float[np.ndarray, "m d"],
    tuned: Float[np.ndarray, "v d"] | None,
    key: int,
) -> dict[str, Float[np.ndarray, " m"]]:
    start = np.nan_to_num(u).astype(np.float32)  # 0 is a column's mean

    def fitted(components: int) -> Any:
        model = gaussian_mixture(start, components=components, key=key)
        return em(model, u.astype(np.float32), iterations=ITERATIONS, floor=REGULAR).model

    def rows(model: Any, of: Float[np.ndarray, "r d"]) -> Float[np.ndarray, " r"]:
        return exact(model, of.astype(np.float32), progress=False).log_evidence

    found = {FULL: rows(fitted(1), seen)}
    mixtures = [] if tuned is None else [(k, fitted(k)) for k in _affordable(WITH_HOLES, u)]
    if tuned is not None and mixtures:
        components, mixture = max(mixtures, key=lambda of: float(rows(of[1], tuned).mean()))
        found[MIXTURE.format(components)] = rows(mixture, seen)
    return found


def _affordable(components: tuple[int, ...], u: Float[np.ndarray, "n d"]) -> list[int]:
    """Numbers of components for which there are rows enough, and which are soon fitted."""
    n, d = u.shape
    return [k for k in components if n > k * d and k * d * d <= ENTRIES]


def baselines_record(
    model: Float[np.ndarray, " m"],
    rows: Mapping[str, Float[np.ndarray, " m"]],
    shift: float,
    stderr_shift: float,
) -> dict[str, Any]:
    """What a record says of baselines: means, and how far the model is above them, row by row.

    Args:
        model: Log p of each row by the model; nats, the mean over seeds.
        rows: The same by each baseline.
        shift: What the ladder adds to the model's mean.
        stderr_shift: The error of that, as it is in the record's interval.
    """
    from scipy import special

    against, n = {}, len(model)
    for name, other in rows.items():
        away = np.asarray(model, np.float64) - other
        stderr = float(np.hypot(away.std(ddof=1) / math.sqrt(n), stderr_shift)) if n > 1 else None
        half = math.nan if stderr is None else float(special.stdtrit(n - 1, 0.975)) * stderr
        centre = float(away.mean()) + shift
        against[name] = {
            "difference": centre,
            "stderr": stderr,
            "low": centre - half,
            "high": centre + half,
        }
    means = {name: float(other.mean()) for name, other in rows.items()}
    return {"baselines": means, "against_baselines": against}
