"""One Gaussian with a full covariance, by expectation maximisation over rows with holes.

Reference: Little & Rubin 2019, Statistical Analysis with Missing Data, section 11.2.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed
from benchmarks.tables.questions.density import Split

ITERATIONS, TOLERANCE, RIDGE = 200, 1e-4, 1e-6


@dataclass(frozen=True)
class _Normal:
    mean: Float[np.ndarray, " w"]
    covariance: Float[np.ndarray, "w w"]

    def given(
        self, row: Float[np.ndarray, "b w"], known: Bool[np.ndarray, " w"]
    ) -> tuple[Float[np.ndarray, "b h"], Float[np.ndarray, "h h"]]:
        """Means and covariance of what is missing in rows with one mask."""
        across = self.covariance[np.ix_(known, ~known)]
        within = self.covariance[np.ix_(known, known)]
        slope = np.linalg.solve(within, across) if known.any() else np.zeros(across.shape)
        mean = self.mean[~known] + (row[:, known] - self.mean[known]) @ slope
        return mean, self.covariance[np.ix_(~known, ~known)] - across.T @ slope


def _patterns(z: Float[np.ndarray, "n w"]) -> list[tuple[Int[np.ndarray, " b"], np.ndarray]]:
    masks, which = np.unique(~np.isnan(z), axis=0, return_inverse=True)
    order, starts = np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1]
    return list(zip(np.split(order, starts), masks, strict=True))


def _fit(z: Float[np.ndarray, "n w"]) -> _Normal:
    width, patterns = z.shape[1], _patterns(z)
    normal = _Normal(np.zeros(width), np.eye(width))
    for _ in range(ITERATIONS):
        filled, left = z.copy(), np.zeros((width, width))
        for rows, known in patterns:
            means, covariance = normal.given(z[rows], known)
            filled[np.ix_(rows, ~known)] = means
            left[np.ix_(~known, ~known)] += len(rows) * covariance
        mean = filled.mean(axis=0)
        away = filled - mean
        covariance = (away.T @ away + left) / len(z) + RIDGE * np.eye(width)
        moved = max(np.abs(mean - normal.mean).max(), np.abs(covariance - normal.covariance).max())
        normal = _Normal(mean, covariance)
        if moved < TOLERANCE:
            break
    return normal


def impute(table: Holed, seed: int) -> Filled:
    coded = Coded.of(table)
    z, normal = coded.z, _fit(coded.z)
    rng = np.random.default_rng(seed)
    draws = None if table.levelled else np.repeat(z[None], table.draws, axis=0)
    filled = z.copy()
    for rows, known in _patterns(z):
        means, covariance = normal.given(z[rows], known)
        filled[np.ix_(rows, ~known)] = means
        if draws is not None and not known.all():
            root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance)))
            noise = rng.normal(size=(table.draws, *means.shape)) @ root.T
            draws[:, rows[:, None], np.flatnonzero(~known)] = means + noise

    def log_p(
        rows: Int[np.ndarray, " c"], columns: Int[np.ndarray, " c"], values: Float[np.ndarray, " c"]
    ) -> Float[np.ndarray, " c"]:
        nats = []
        for i, j, value in zip(rows, columns, values, strict=True):
            known = ~np.isnan(z[i])
            means, covariance = normal.given(z[[i]], known)
            at = int(np.sum(~known[:j]))
            deviation = np.sqrt(covariance[at, at])
            value = (value - coded.shift[j]) / coded.scale[j]
            nats.append(stats.norm.logpdf(value, means[0, at], deviation) - np.log(coded.scale[j]))
        return np.array(nats)

    if draws is None:
        return Filled(coded.decoded(filled))
    return Filled(coded.decoded(filled), coded.decoded(draws), log_p)


def log_density(split: Split, seed: int) -> Float[np.ndarray, " m"]:
    """Needs no validation rows: it is fitted to them too."""
    x = np.concatenate([split.train, split.validation])
    coded = Coded.of(Holed(x, (0,) * x.shape[1]))
    normal = _fit(coded.z)
    z = (split.test - coded.shift) / coded.scale
    nats = stats.multivariate_normal.logpdf(z, normal.mean, normal.covariance)  # pyright: ignore[reportArgumentType]
    return nats - np.log(coded.scale).sum()
