"""The verdict on an importance estimate, by a rule that can be read.

With tau(k) = min(1 - 1/log10 k, 0.7), the threshold of Vehtari et al. (2024), and the bias that
the estimate shows: the largest of the first-order bias stderr^2 / 2 (Nowozin 2018, corollary 1),
the correction of the jackknife of order 1, and, for a data set, what is left if L_k goes on to grow
with k as it did (`growth`):

- **trust**: at most 5 % of the data have k-hat > tau(k), and the mean bias is at most 0.1 nats;
- **raise k**: otherwise, if at most 5 % have k-hat >= 1 (beyond which the mean weight itself
  converges too slowly to be of use) and the k that brings the mean bias to 0.1 nats is at most
  100 times larger;
- **use AIS**: otherwise: the proposal misses too much of the posterior for any affordable k.

Each datum is judged alike by its own k-hat and bias, but no better than half of the data are: where
the proposal fails most of them, one that passes has mostly been lucky.

Where annealed importance sampling has been asked as well, its lower bound decides: more than 0.1
nats above (and beyond two standard errors) is "use AIS"; no more than that, with a bias of its own
of at most 0.1 nats, turns "use AIS" into "trust".

Where single precision alone may be more than 0.1 nats off, the verdict is the worst, with the
reason.

The rule errs on the side of distrust. What it cannot see, as no rule on the weights can, is a mode
of the posterior that no draw reached, and that annealing from the same posterior misses too.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.evidence.importance.pareto import threshold

WORDS = ("trust", "raise k", "use AIS")
"""From the best to the worst."""
SHARE = 0.05
BIAS = 0.1
FACTOR = 100
MOST = 0.5
"""Least share of the data that pass a test, for one that passes it to count."""
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


def judge(
    stderr: Float[np.ndarray, " n"],
    khat: Float[np.ndarray, " n"],
    k: int,
    *,
    jackknife: Float[np.ndarray, " n"] | None = None,
    growth: float = 0.0,
) -> Verdict:
    """Judges the estimates of a data set from k draws each.

    Args:
        stderr: Standard error of each datum's estimate.
        khat: Shape of the tail of its weights.
        k: Draws.
        jackknife: What the jackknife of order 1 adds to each estimate, if it is known.
        growth: Mean bias of the set as the growth of L_k with k shows it.
    """
    if k < FEWEST:
        return Verdict(
            "raise k", f"k={k} is too few to judge: use k of 1000 or more", 1.0, math.nan
        )
    tau = threshold(k)
    bias = float(np.mean(bias_of_each(stderr, jackknife)))
    bias = max(bias, growth) if bias == bias else bias
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


def judge_each(
    stderr: Float[np.ndarray, " n"],
    khat: Float[np.ndarray, " n"],
    k: int,
    *,
    jackknife: Float[np.ndarray, " n"] | None = None,
) -> tuple[str, ...]:
    """The word for each datum by itself, as long as half of the data earn it too."""
    if k < FEWEST:
        return ("raise k",) * len(stderr)
    bias = bias_of_each(stderr, jackknife)
    trusted = (khat <= threshold(k)) & (bias <= BIAS)
    raised = (khat < 1) & (bias <= FACTOR * BIAS)
    trusted, raised = (passed & (np.mean(passed) >= MOST) for passed in (trusted, raised))
    return tuple(np.where(trusted, "trust", np.where(raised, "raise k", "use AIS")).tolist())


def bias_of_each(
    stderr: Float[np.ndarray, " n"], jackknife: Float[np.ndarray, " n"] | None
) -> Float[np.ndarray, " n"]:
    """How far each estimate is low, in nats: the larger of first order and jackknife."""
    first_order = np.asarray(stderr, np.float64) ** 2 / 2
    return first_order if jackknife is None else np.maximum(first_order, jackknife)


def against_annealed(
    judged: Verdict,
    above: Float[np.ndarray, " n"],
    error: Float[np.ndarray, " n"],
    annealed_bias: float,
) -> Verdict:
    """The verdict on a set once annealed importance sampling has been asked.

    Args:
        judged: The verdict by the weights.
        above: The annealed estimate of each datum less that of importance sampling.
        error: Standard error of each difference.
        annealed_bias: Mean of the annealed estimates' first-order bias.
    """
    mean = float(np.mean(above, dtype=np.float64))
    of_mean = float(np.sqrt(np.sum(np.asarray(error, np.float64) ** 2)) / len(error))
    facts = f"annealed importance sampling is {mean:+.3f} nats away (standard error {of_mean:.3f})"
    if not math.isfinite(mean) or mean > BIAS + 2 * of_mean:
        return judged._replace(word="use AIS", reason=f"{facts}; {judged.reason}")
    if judged.word == "use AIS" and abs(mean) <= BIAS and annealed_bias <= BIAS:
        return judged._replace(word="trust", reason=f"{facts}; {judged.reason}")
    return judged._replace(reason=f"{facts}; {judged.reason}")


def rounded_off(judged: Verdict, rounding: Float[np.ndarray, " n"]) -> Verdict:
    """The verdict on a set, which is never "trust" where rounding alone may be 0.1 nats."""
    mean = float(np.mean(rounding, dtype=np.float64))
    if mean <= BIAS:
        return judged
    reason = (
        f"single precision alone may be {mean:.3g} nats off, which neither more draws nor "
        f"annealing mend: standardise the data; {judged.reason}"
    )
    return judged._replace(word=WORDS[-1], reason=reason)


def rounded_each(verdicts: tuple[str, ...], rounding: Float[np.ndarray, " n"]) -> tuple[str, ...]:
    """The word for each datum by itself, the worst where rounding alone may be 0.1 nats."""
    return tuple(
        word if rounded <= BIAS else WORDS[-1]
        for word, rounded in zip(verdicts, rounding, strict=True)
    )


def _rounded(k: float) -> int:
    """Up to one leading digit."""
    scale = 10 ** math.floor(math.log10(k))
    return math.ceil(k / scale) * scale
