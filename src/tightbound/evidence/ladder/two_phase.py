"""The mean over many data in two phases: importance sampling of all, and the ladder of some.

Importance sampling from q(z|x) judges all data, and the ladder some: its mean difference from
importance sampling, of data whose weights pass and of those whose weights do not, corrects the mean
over all.

Reference: Cochran 1977, Sampling Techniques, sections 5.3 and 12.6 (differences in two phases, by
strata).
Bias: that of the ladder (`ladder.ladder`) and none of the sampling of data.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import special

from tightbound.evidence.batches import mean, stderr_of_draws
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.importance.evaluation import Evaluation
from tightbound.evidence.ladder.climbed import LadderEvidence
from tightbound.evidence.terms import CASES
from tightbound.evidence.verdict import BIAS, WORDS, Verdict, allowed

AUDITED = 16
"""Data that the ladder judges beside importance sampling."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Corrected(Estimate):
    """Importance sampling of all data, with the mean difference that the ladder saw on some.

    Of these data the values are the ladder's; the others are raised by the mean difference of those
    that were judged alike, so that `mean` estimates the mean over all.
    """

    ladder: LadderEvidence
    """Of the data that were looked at."""
    shift: float
    """By how much the mean is corrected, in nats: 0 where importance sampling is trusted and the
    ladder, which is less sure, does not contradict it."""
    stderr_shift: float
    difference: float
    """By how much the ladder is above importance sampling in the mean, whether or not that is
    `shift`; in nats."""
    stderr_difference: float
    """Standard error of `difference`, as `Difference` has it, whether or not it is `shift`."""

    @property
    def stderr_draws(self) -> float:
        """Standard error of the mean, from draws and from the choice of the data looked at."""
        return float(np.hypot(super().stderr_draws, self.stderr_shift))

    @property
    def stderr_data(self) -> float:
        """That from the finite number of data, and from the choice of those looked at."""
        return float(np.hypot(super().stderr_data, self.stderr_shift))


class Difference(NamedTuple):
    """By how much what the ladder makes of a mean is above importance sampling's, in nats."""

    mean: float
    stderr: float
    """From the draws of both and from the choice of the data looked at, as if independent: too much
    rather than too little, since draws of data that were not looked at are in both."""

    @classmethod
    def of(cls, judged: Estimate, mean: float, stderr: float) -> "Difference":
        """That of a mean with its standard error, from draws and from the choice of data."""
        return cls(mean - judged.mean, float(np.hypot(stderr, judged.stderr_draws)))

    @property
    def contradicts(self) -> bool:
        """Whether importance sampling, a lower bound, is too low for the error to explain it."""
        return self.mean > BIAS + 2 * self.stderr


def corrected(judged: Estimate, ladder: LadderEvidence, strata: Int[np.ndarray, " n"]) -> Corrected:
    """Importance sampling of all data with the ladder's mean difference of each stratum.

    Args:
        judged: Importance sampling.
        ladder: Of some of the data.
        strata: The number of each datum's stratum; each has been looked at.
    """
    values = np.asarray(judged.log_evidence, np.float64).copy()
    stderr = np.asarray(judged.stderr, np.float64).copy()
    difference = ladder.log_evidence - values[ladder.rows]
    variance, n = 0.0, len(values)
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        seen = strata[ladder.rows] == stratum
        shift = float(np.mean(difference[seen]))
        values[inside] += shift
        looked = int(np.sum(seen))
        if looked < len(inside):
            spread = float(np.var(difference[seen], ddof=1)) if looked > 1 else np.inf
            share = len(inside) / n
            variance += share**2 * spread / looked * (1 - looked / len(inside))
    values[ladder.rows], stderr[ladder.rows] = ladder.log_evidence, ladder.stderr
    shift = float(np.mean(values - np.asarray(judged.log_evidence, np.float64)))
    error = float(np.sqrt(variance))
    away = Difference.of(judged, mean(values), float(np.hypot(stderr_of_draws(stderr), error)))
    plain: dict[str, Any] = {of.name: getattr(judged, of.name) for of in fields(Estimate)}
    found = Corrected(
        **plain
        | {
            "log_evidence": values,
            "stderr": stderr,
            "direction": "consistent",
            "method": f"{judged.method}, corrected by the ladder on {len(ladder.rows)} of the data",
            "verdicts": (),
            "weighted": None,
            "recommended": None,
        },
        ladder=ladder,
        shift=shift,
        stderr_shift=error,
        difference=away.mean,
        stderr_difference=away.stderr,
    )
    return replace(found, judgement=_of_set(found))


def doubted(judged: Evaluation, ladder: LadderEvidence, away: Difference) -> Evaluation:
    """Importance sampling, not to be trusted where the ladder is above it: it is a lower bound.

    Args:
        judged: Importance sampling of all data.
        ladder: Of some of them.
        away: By how much the ladder is above it in the mean.
    """
    rows = ladder.rows
    error = np.hypot(ladder.stderr, judged.stderr[rows])
    above = ladder.log_evidence - judged.log_evidence[rows] > BIAS + 2 * error
    words = np.asarray(judged.verdicts, object)
    words[rows[above]] = WORDS[-1]
    judged = replace(judged, verdicts=tuple(words))
    if judged.judgement is None or not away.contradicts:
        return judged
    facts = f"the ladder is {away.mean:+.3f} nats away (standard error {away.stderr:.3f})"
    reason = f"{facts}; {judged.judgement.reason}"
    return replace(judged, judgement=judged.judgement._replace(word=WORDS[-1], reason=reason))


def confirmed(judged: Estimate, ladder: LadderEvidence, away: Difference) -> Corrected:
    """Importance sampling as it was, beside what the ladder says of it.

    Args:
        judged: Importance sampling that is trusted.
        ladder: Of some of the data.
        away: By how much it is above; its own error is larger, so that it is not trusted.
    """
    assert judged.judgement is not None
    plain: dict[str, Any] = {of.name: getattr(judged, of.name) for of in fields(Estimate)}
    looked = f"the ladder on {len(ladder.rows)} of the data"
    reason = (
        f"{judged.judgement.reason}; {looked} does not contradict it: {away.mean:+.3f} "
        f"nats (standard error {away.stderr:.3f})"
    )
    plain |= {
        "method": f"{judged.method}, beside {looked}",
        "judgement": judged.judgement._replace(reason=reason),
        "weighted": None,
        "recommended": None,
    }
    return Corrected(
        **plain,
        ladder=ladder,
        shift=0.0,
        stderr_shift=0.0,
        difference=away.mean,
        stderr_difference=away.stderr,
    )


def _of_set(found: Corrected) -> Verdict:
    """The verdict on a corrected mean."""
    ladder = found.ladder
    doubtful = float(np.mean([word != WORDS[0] for word in ladder.verdicts]))
    off = float(special.ndtri((1 + CASES) / 2)) * found.stderr_draws
    reason = (
        f"the ladder is {found.shift:+.3f} nats away in the mean (standard error "
        f"{found.stderr_shift:.3f}, of {len(ladder.rows)} data); within {off:.2g} nats in 99 % of "
        "cases"
    )
    few = doubtful <= allowed(len(ladder.rows))
    word = WORDS[0] if off <= BIAS and few else WORDS[1]
    if not few:
        reason += f"; it is not sure of {100 * doubtful:.0f} % of them"
    if word != WORDS[0]:
        reason += ": a larger budget= looks at more data"
    return Verdict(word, reason, doubtful, abs(found.shift))
