"""Which calibration rows a row is compared with, and the p-value that it has beside them.

A row with holes has the density of fewer values: it is compared with calibration rows under its own
holes. Where the mask has a model, each calibration row keeps its own, which is data.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from tightbound.tasks.conformal import p_values
from tightbound.tasks.marginals import Rows

LogP = Callable[[Rows], Float[np.ndarray, " m"]]
"""The score of calibration rows, by draws of their own."""
Compared = tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]
"""The p-value of each row, and how many calibration rows it was compared with."""


def compared_known(
    log_p: LogP, rows: Rows, scores: Float[np.ndarray, " n"], inliers: Rows
) -> Compared:
    """P-values under each row's own mask: 1 where no calibration row knows as much."""
    masks, which = np.unique(rows.known, axis=0, return_inverse=True)
    alike = [fitting(inliers, mask) for mask in masks]
    sizes = [len(rows) for rows in alike]
    which, found = which.reshape(-1), np.ones(len(rows.values))
    if sum(sizes):
        shown = inliers.at(np.concatenate(alike), np.repeat(masks, sizes, axis=0))
        for number, part in enumerate(np.split(log_p(shown), np.cumsum(sizes)[:-1])):
            found[which == number] = p_values(scores[which == number], part)
    return found, np.asarray(sizes)[which]


def compared_whole(
    log_p: LogP, rows: Rows, scores: Float[np.ndarray, " n"], inliers: Rows
) -> Compared:
    """P-values beside all calibration rows, each with the mask that it has."""
    found = log_p(inliers)
    return p_values(scores, found), np.full(len(rows.values), len(found))


def fitting(inliers: Rows, mask: Bool[np.ndarray, " d"]) -> Int[np.ndarray, " m"]:
    """The calibration rows that know all that a mask shows."""
    return np.flatnonzero(inliers.known[:, mask].all(axis=1))
