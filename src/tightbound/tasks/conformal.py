"""Conformal p-values: how unusual a score is beside those of rows that are known to be usual.

p = (1 + #{calibration scores <= score}) / (m + 1): if the row is exchangeable with the m
calibration rows, P(p <= t) <= t for every t, whatever the model and however wrong it is.

Reference: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World", section 2.3;
Bates, Candes, Lei, Romano & Sesia 2023, arXiv 2104.08279, eq. 2 (of outliers; p-values that share
calibration rows depend on each other).
Bias: none; ties count as calibration scores that are lower, so that p is never too small.
"""

import numpy as np
from jaxtyping import Float

ROUNDING = 1e-9
"""Scores that differ by less, as a share of their size, are ties."""


def p_values(
    scores: Float[np.ndarray, " n"], calibration: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " n"]:
    """The p-value of each score, small where it is lower than those of the calibration rows.

    Args:
        scores: Larger is more usual, such as log p(x).
        calibration: Scores of rows that neither the model nor anything chosen since was fitted to.
    """
    scores = np.asarray(scores, np.float64)
    size = np.where(np.isfinite(scores), np.abs(scores), 0)  # -inf is as low as can be
    tied = scores + ROUNDING * (1 + size)
    lower = np.searchsorted(np.sort(np.asarray(calibration, np.float64)), tied, side="right")
    return (1 + lower) / (len(calibration) + 1)
