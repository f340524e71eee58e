"""Each column by itself: its mean, or its most frequent level."""

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from benchmarks.tables.holes import Filled, Holed


def impute(table: Holed, seed: int) -> Filled:
    """Log p is normal for numbers, and of levels (count + 1) / (sum + levels)."""
    x = table.x
    mean, deviation = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    share = {}
    for j in table.levelled:
        counts = np.bincount(x[~np.isnan(x[:, j]), j].astype(int), minlength=table.levels[j])
        mean[j] = np.argmax(counts)
        share[j] = (counts + 1) / (counts.sum() + len(counts))

    def log_p(
        rows: Int[np.ndarray, " c"], columns: Int[np.ndarray, " c"], values: Float[np.ndarray, " c"]
    ) -> Float[np.ndarray, " c"]:
        del rows
        return np.array(
            [
                np.log(share[j][int(value)])
                if j in share
                else stats.norm.logpdf(value, mean[j], deviation[j])
                for j, value in zip(columns, values, strict=True)
            ]
        )

    draws = None
    if not table.levelled:
        quantiles = stats.norm.ppf((np.arange(table.draws) + 0.5) / table.draws)
        draws = (mean + deviation * quantiles[:, None])[:, None, :]
        draws = np.broadcast_to(draws, (table.draws, *x.shape))
    return Filled(np.where(np.isnan(x), mean, x), draws, log_p)
