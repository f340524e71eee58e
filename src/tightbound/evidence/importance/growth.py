"""How far L_k still is from log p(x), from how it has grown with k.

Reference: Burda et al. 2015, arXiv 1509.00519, theorem 1 (L_k rises with k); Nowozin 2018, eq. 9
(the error falls as 1/k where weights have enough moments, and more slowly where they have not).
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

SLOWEST = 0.05
"""Least exponent a of L_k = L - C k^-a that is told from no convergence at all."""
FEWEST_DRAWS = 5
SURE = 2.0
"""Standard errors by which the last growth must exceed zero to be extrapolated."""


def bias_by_growth(ks: Sequence[int], bounds: Float[np.ndarray, "n m"]) -> float:
    """L - L_k in nats if the mean over the data goes on as L - C k^-a; 0 where it does not grow.

    The three last numbers of draws give L, C and a, with a in [0.05, 1].

    Args:
        ks: Numbers of draws, rising.
        bounds: L_k of each datum at each of them, in nats.
    """
    usable = [i for i, k in enumerate(ks) if k >= FEWEST_DRAWS]
    if len(usable) < 3 or len(bounds) < 2:
        return 0.0
    before, middle, last = usable[-3:]
    values = np.asarray(bounds, np.float64)
    if not np.all(np.isfinite(values[:, usable])):
        return 0.0
    growth = values[:, last] - values[:, middle]
    late, early = float(growth.mean()), float(np.mean(values[:, middle] - values[:, before]))
    error = float(growth.std(ddof=1)) / math.sqrt(len(growth))
    if late <= SURE * error:
        return 0.0
    k0, k1, k2 = (float(ks[i]) for i in (before, middle, last))

    def ratio(a: float) -> float:
        return (k1**-a - k2**-a) / (k0**-a - k1**-a)

    low, high = SLOWEST, 1.0
    wanted = late / early if early > 0 else math.inf
    # The slower the convergence, the more of the growth is late.
    for _ in range(50):
        a = (low + high) / 2
        low, high = (a, high) if ratio(a) > wanted else (low, a)
    return late * k2**-low / (k1**-low - k2**-low)
