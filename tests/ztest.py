"""z-statistics of means over independent replicas."""

import numpy as np
from numpy.typing import ArrayLike

LIMIT = 4.9
"""Two-sided false-alarm rate 9.6e-7 for each number that is compared with it."""


def z_of_mean(draws: ArrayLike, truth: ArrayLike = 0.0) -> np.ndarray:
    """(mean - truth) / standard error along the first axis."""
    draws = np.asarray(draws, np.float64)
    return (draws.mean(axis=0) - np.asarray(truth)) / (
        draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    )


def paired_z(draws: ArrayLike, others: ArrayLike) -> np.ndarray:
    """z of the mean difference of two estimates from the same draws, along the first axis.

    Where the two are equal up to float32 rounding (1e-6 of their size) there is no difference.
    """
    others = np.asarray(others, np.float64)
    difference = np.asarray(draws, np.float64) - others
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    rounding = 1e-6 * np.abs(others).max(axis=0) + 1e-12
    return difference.mean(axis=0) / np.maximum(error, rounding)
