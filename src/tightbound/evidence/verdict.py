"""The verdict on an importance estimate, by a rule that can be read.

With tau(k) = min(1 - 1/log10 k, 0.7), the threshold of Vehtari et al. (2024), and the first-order
bias of log p-hat, stderr^2 / 2 per datum (Nowozin 2018, corollary 1):

- **trust**: at most 5 % of the data have k-hat > tau(k), and the mean bias is at most 0.1 nats;
- **raise k**: otherwise, if at most 5 % have k-hat >= 1 (beyond which the mean weight itself
  converges too slowly to be of use) and the k that brings the mean bias to 0.1 nats is at most
  100 times larger;
- **use AIS**: otherwise: the proposal misses too much of the posterior for any affordable k.

The rule errs on the side of distrust. What it cannot see, as no rule on the weights can, is a mode
of the posterior that no draw reached.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.evidence.pareto import threshold

SHARE = 0.05
BIAS = 0.1
FACTOR = 100
FEWEST = 25
"""Fewer weights have no tail to fit."""


class Verdict(NamedTuple):
    """A plain word, and the numbers that led to it."""

    word: str
    reason: str
    share_beyond: float
    """Share of the data with k-hat above the threshold, or without a k-hat."""
    bias: float
    """Estimated mean bias of the log-evidence in nats (a positive number: how far it is low)."""


def judge(stderr: Float[np.ndarray, " n"], khat: Float[np.ndarray, " n"], k: int) -> Verdict:
    """Judges the estimates of a data set from k draws each."""
    if k < FEWEST:
        return Verdict(
            "raise k", f"k={k} is too few to judge: use k of 1000 or more", 1.0, math.nan
        )
    tau = threshold(k)
    bias = float(np.mean(stderr**2) / 2)
    beyond = float(np.mean(~(khat <= tau)))
    hopeless = float(np.mean(~(khat < 1)))
    facts = (
        f"{100 * beyond:.1f} % of the data have k-hat > {tau:.2f}, "
        f"{100 * hopeless:.1f} % beyond 1, "
        f"estimated bias {bias:.3f} nats"
    )
    if beyond <= SHARE and bias <= BIAS:
        return Verdict("trust", facts, beyond, bias)
    enough = max(bias / BIAS, 10 if beyond > SHARE else 1) * k
    if hopeless <= SHARE and enough <= FACTOR * k:
        return Verdict("raise k", f"{facts}: try k={_rounded(float(enough))}", beyond, bias)
    return Verdict(
        "use AIS", f"{facts}: the posterior misses mass that more draws will not find", beyond, bias
    )


def _rounded(k: float) -> int:
    """Up to one leading digit."""
    scale = 10 ** math.floor(math.log10(k))
    return math.ceil(k / scale) * scale
