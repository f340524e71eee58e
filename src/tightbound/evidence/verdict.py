"""The verdict on an estimate of log p(x), by one rule for all estimators.

What is judged is how far the estimate may be from log p(x), in 99 of 100 cases, in nats:

    low + sqrt(sure^2 + unsure^2) + rounding

with `low`, the bias that the weights show: the largest of the first-order bias stderr^2 / 2, of
what the tail beyond the largest weight adds on average by k-hat (`importance.tail`), of the
jackknife's correction, and for a set of the growth of L_k with k; `sure`, 2.58 standard errors
(more for few chains, and in reverse); and `unsure`, what the tail may add besides, if k-hat is at
its upper end. For a set the first is a mean over the data, and the errors under the root are
independent.

- **trust**: at most 0.1 nats, and (but for as many data as `allowed`) no k-hat whose upper end is
  beyond 1: the mean weight is then one that draws find.
- **more draws**: otherwise, if no more data than `allowed` have k-hat >= 1, and a forecast brings
  the error to 0.1 nats with at most 100 times as many. Errors fall as K^-(1 - k-hat), and no faster
  than K^-1/2; the forecast's interval is that of k-hat.
- **do not trust**: otherwise, and where rounding alone may be 0.1 nats.

Fewer than 50 draws show too little of a tail and are not judged. Weights of annealed chains are
sums of many small terms, about normal in the log: below 100 of them Student's t at 99.99 % stands
for the tail. In reverse it stands beside the tail of any number of them, and fewer than 16 are not
judged. Draws by Markov chains are trusted only where the chains agree with each other: where they
have hardly moved, each stands where it began.

Each datum is judged alike, but no better than half of the data are: where the proposal fails most
of them, one that passes has mostly been lucky.

What no rule on the weights can see is a mode of the posterior that no draw reached.

Reference: Vehtari, Simpson, Gelman, Yao & Gabry 2024, arXiv 1507.02646 (k-hat); Nowozin 2018,
"Debiasing evidence approximations", corollary 1 (the bias of first order).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from tightbound.evidence.importance.pareto import standard_error
from tightbound.evidence.importance.tail import UPPER, widened
from tightbound.evidence.terms import AT_REST, CASES, DRAWS, MANY, Terms

WORDS = ("trust", "more draws", "do not trust")
"""From the best to the worst."""
SHARE = 0.05
CHANCE = 1.645
"""Standard errors of a share above `SHARE` that chance explains."""
BIAS = 0.1
"""Nats within which an estimate is trusted."""
FACTOR = 100
"""Times as many draws are still to be had."""
SETTLE = 4
"""Times as many draws halve the error of k-hat, where that alone is in the way."""
MOST = 0.5
"""Least share of the data that pass a test, for one that passes it to count."""
HALF = 0.5
"""k-hat from which on the weights have no variance."""


class Weighed(NamedTuple):
    """What is known of the weights of n data; nats."""

    draws: int
    stderr: Float[np.ndarray, " n"]
    khat: Float[np.ndarray, " n"]
    missing: Float[np.ndarray, " n"]
    most_missing: Float[np.ndarray, " n"]
    rounding: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"] | float = 0.0
    """A bias that is known besides, such as the jackknife's."""
    between: Float[np.ndarray, " n"] | float = 0.0
    """Share of the variance of Markov chains that lies between their means (see `mcmc.between`)."""

    @property
    def upper(self) -> Float[np.ndarray, " n"]:
        """The upper end of k-hat."""
        return self.khat + UPPER * standard_error(self.khat, self.draws)

    @property
    def bias(self) -> Float[np.ndarray, " n"]:
        """How far each estimate is low, or high, on average."""
        first_order = np.asarray(self.stderr, np.float64) ** 2 / 2
        return np.maximum(np.maximum(first_order, self.missing), self.low)


class Verdict(NamedTuple):
    """A plain word, and the numbers that led to it."""

    word: str
    reason: str
    share_beyond: float
    """Share of the data whose k-hat may be beyond 1, or without one where there should be one."""
    bias: float
    """Estimated mean bias of the log-evidence in nats (a positive number: how far it is off)."""


def judge(known: Weighed, terms: Terms = DRAWS, *, growth: float = 0.0) -> Verdict:
    """Judges the estimates of a data set.

    Args:
        known: What the weights say of each datum.
        terms: The estimator's words.
        growth: Mean bias of the set as the growth of L_k with k shows it.
    """
    n, few = len(known.stderr), terms.too_few(known.draws)
    most = allowed(n)
    rounding = float(np.mean(known.rounding, dtype=np.float64))
    bias = float(np.mean(known.bias))
    bias = max(bias, growth) if bias == bias else bias
    sure, unsure = _parts(known, terms)
    off = bias + float(np.sqrt(np.sum(sure**2 + unsure**2))) / n + rounding
    best = bias + float(np.sqrt(np.sum(sure**2))) / n
    beyond = 0.0 if few and terms.chains else float(np.mean(~(known.upper < 1)))
    hopeless = 0.0 if few else float(np.mean(~(known.khat < 1)))
    facts = _facts(known, terms, beyond, off)
    if not rounding <= BIAS:
        reason = (
            f"single precision alone may be {rounding:.3g} nats off, which neither more "
            f"{terms.unit} nor annealing mend: standardise the data; {facts}"
        )
        return Verdict(WORDS[2], reason, beyond, bias)
    if known.draws < terms.least:
        return Verdict(WORDS[1], _too_few(known, terms), beyond, bias)
    moving = float(np.mean(~(np.asarray(known.between) <= AT_REST)))
    if moving > most:
        reason = (
            f"of {100 * moving:.0f} % of the data the chains have not arrived, with more than "
            f"{100 * AT_REST:.0f} % of the variance between them: use more transitions; {facts}"
        )
        return Verdict(WORDS[1], reason, beyond, bias)
    if off <= BIAS and beyond <= most:
        reason = f"{facts}, but for modes that none of the {terms.unit} reached"
        return Verdict(WORDS[0], reason, beyond, bias)
    shape, error = _shape(known, few=few)
    wanted, lower, upper = (
        float(_times(best, BIAS - rounding, at)[0]) for at in (shape, shape - error, shape + error)
    )
    if hopeless <= most and wanted <= FACTOR:
        about = (known.draws * times for times in (wanted, lower, upper))
        return Verdict(WORDS[1], f"{facts}: {_forecast(terms, *about)}", beyond, bias)
    return Verdict(
        WORDS[2],
        f"{facts}, which no affordable number of {terms.unit} mends: {terms.instead}",
        beyond,
        bias,
    )


def judge_alone(known: Weighed, terms: Terms = DRAWS) -> tuple[str, ...]:
    """The word for each datum, as if it were the only one."""
    few = terms.too_few(known.draws)
    sure, unsure = _parts(known, terms)
    off = known.bias + np.hypot(sure, unsure) + known.rounding
    shape = np.full_like(off, HALF) if few else np.asarray(known.khat, np.float64)
    sound = np.full(len(off), terms.chains) if few else known.upper < 1
    sound &= (known.draws >= terms.least) & (np.asarray(known.between) <= AT_REST)
    left = np.maximum(BIAS - known.rounding, 0)
    times = _times(known.bias + sure, left, shape)
    exact = known.rounding <= BIAS
    trusted = exact & sound & (off <= BIAS)
    raised = exact & (shape < 1) & (times <= FACTOR)
    raised |= exact & ((known.draws < terms.least) | ~(np.asarray(known.between) <= AT_REST))
    return tuple(np.where(trusted, WORDS[0], np.where(raised, WORDS[1], WORDS[2])).tolist())


def judge_each(known: Weighed, terms: Terms = DRAWS) -> tuple[str, ...]:
    """The word for each datum by itself, as long as half of the data earn it too."""
    rank = np.array([WORDS.index(word) for word in judge_alone(known, terms)])
    worst = next(of for of in range(len(WORDS)) if np.mean(rank <= of) >= MOST)
    return tuple(WORDS[max(of, worst)] for of in rank)


def at_least(known: Weighed, terms: Terms) -> Bool[np.ndarray, " n"]:
    """Of which data the standard error is only a lower bound.

    The weights may have no variance (k-hat may be 1/2 or more), or are too few to tell.
    """
    if terms.one_sided or known.draws < MANY:
        return np.ones(len(known.stderr), bool)
    return ~(known.upper <= HALF)


def against_annealed(
    judged: Verdict,
    above: Float[np.ndarray, " n"],
    error: Float[np.ndarray, " n"],
    annealed: str,
) -> Verdict:
    """The verdict on a set once annealed importance sampling has been asked.

    Args:
        judged: The verdict by the weights.
        above: The annealed estimate of each datum less that of importance sampling.
        error: Standard error of each difference.
        annealed: The verdict on the annealed estimates.
    """
    mean = float(np.mean(above, dtype=np.float64))
    of_mean = float(np.sqrt(np.sum(np.asarray(error, np.float64) ** 2)) / len(error))
    facts = f"annealed importance sampling is {mean:+.3f} nats away (standard error {of_mean:.3f})"
    word = judged.word
    if not math.isfinite(mean) or mean > BIAS + 2 * of_mean:
        word = WORDS[2]
    elif abs(mean) <= BIAS and annealed == WORDS[0]:
        word = WORDS[0]
    return judged._replace(word=word, reason=f"{facts}; {judged.reason}")


def by_error(error: Float[np.ndarray, " n"]) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on numbers of which nothing is drawn, and on each of them, by their error."""
    mean = float(np.mean(error, dtype=np.float64))
    word = WORDS[0] if mean <= BIAS else WORDS[2]
    reason = f"off by at most {mean:.1e} nats"
    reason = reason if mean <= BIAS else f"{reason}: use more points"
    each = tuple(np.where(np.asarray(error) <= BIAS, WORDS[0], WORDS[2]).tolist())
    return Verdict(word, reason, 0.0, mean), each


def by_gap(gap: Float[np.ndarray, " n"], error: float) -> Verdict:
    """The verdict on bounds from both sides, by the gap between them.

    Args:
        gap: Upper less lower bound of each datum.
        error: Standard error of the mean gap.
    """
    mean = float(np.mean(gap, dtype=np.float64))
    most = abs(mean) + float(special.ndtri((1 + CASES) / 2)) * error
    reason = f"the gap is {mean:.3f} nats, with its error at most {most:.3f}"
    word = WORDS[0] if most <= BIAS else WORDS[1] if abs(mean) <= BIAS else WORDS[2]
    then = {
        WORDS[0]: "on data like these",
        WORDS[1]: "use more data or chains",
        WORDS[2]: "use more temperatures",
    }
    return Verdict(word, f"{reason}: {then[word]}", 0.0, mean)


def allowed(n: int) -> float:
    """Most of n data, as a share, that may fail a test which no more than `SHARE` are to fail.

    No more than as many fail in about 95 of 100 sets of n data of which each fails with the chance
    `SHARE`; of fewer than five data none may.
    """
    spread = CHANCE * math.sqrt(SHARE * (1 - SHARE) * n)
    return math.floor(SHARE * n + spread) / n


def _too_few(known: Weighed, terms: Terms) -> str:
    """The reason where draws are too few to judge by."""
    if terms.chains:
        return f"{known.draws} chains are too few to judge: use {terms.least} or more"
    return f"k={known.draws} is too few to judge: use k of 1000 or more"


def _parts(known: Weighed, terms: Terms) -> tuple[Any, Any]:
    """Of each datum, by how much its estimate may be off as draws go, and as k-hat goes."""
    end = (1 + terms.cases(known.draws)) / 2
    sure = float(special.ndtri(end))
    if terms.too_few(known.draws) and known.draws > 1:
        # The errors are longer already, by what Student's t asks at 95 %.
        sure = float(special.stdtrit(known.draws - 1, end)) / widened(known.draws)
    unsure = np.asarray(known.most_missing, np.float64) - known.missing
    return sure * np.asarray(known.stderr, np.float64), unsure


def _shape(known: Weighed, *, few: bool) -> tuple[float, float]:
    """k-hat where the errors come from, and by how much it may be off."""
    if few:
        return HALF, 0.0
    weight = known.bias + known.stderr
    there = np.isfinite(known.khat) & np.isfinite(weight)
    if not np.any(there):
        return HALF, 0.0
    shape = np.average(np.asarray(known.khat[there], np.float64), weights=weight[there] + 1e-12)
    error = UPPER * standard_error(shape, known.draws) / math.sqrt(np.sum(there))
    return float(shape), float(error)


def _times(off: Any, wanted: Any, shape: Any) -> Float[np.ndarray, " n"]:
    """How many times as many draws bring each error to what is wanted; inf where none do."""
    off, wanted, shape = (np.atleast_1d(np.asarray(a, np.float64)) for a in (off, wanted, shape))
    rate = np.minimum(1 - shape, HALF)
    can = np.isfinite(off) & (wanted > 0) & (rate > 0)
    ratio = np.where(can, off, 1.0) / np.where(can, wanted, 1.0)
    power = np.log(np.maximum(ratio, 1.0)) / np.where(can, rate, 1.0)
    times = np.where(ratio <= 1, SETTLE, np.exp(np.minimum(power, 30.0)))
    return np.where(can, times, np.inf)


def _forecast(terms: Terms, wanted: float, least: float, most: float) -> str:
    """The draws that the forecast asks for, in words."""
    low, best = _rounded(least), _rounded(wanted)
    high = f"{_rounded(most):,}" if most < 1e9 else "many times more"
    about = f"use about {best:,} {terms.unit}"
    about = about if low == best and high == f"{best:,}" else f"{about} ({low:,} to {high})"
    return f"{about}, or {terms.instead}" if terms.chains else about


def _facts(known: Weighed, terms: Terms, beyond: float, off: float) -> str:
    """The numbers behind the word."""
    mean = "" if len(known.stderr) == 1 else "the mean is "
    found = f"{mean}within {off:.2g} nats in 99 % of cases"
    if terms.too_few(known.draws):
        return f"{found}, as {known.draws} {terms.unit} show"
    if len(known.stderr) == 1:
        shape, upper = float(known.khat[0]), float(known.upper[0])
        return f"k-hat {shape:.2f}, at most {upper:.2f}; {found}"
    return f"{100 * beyond:.1f} % of the data have a k-hat that may be beyond 1; {found}"


def _rounded(k: float) -> int:
    """Up to one leading digit."""
    scale = 10 ** math.floor(math.log10(max(k, 1)))
    return math.ceil(k / scale) * scale
