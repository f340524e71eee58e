"""Paired comparison of two models by their log-evidence on the same data.

The difference is taken datum by datum, so that what makes a datum hard for both models cancels.
Its spread over the data holds the noise of the draws as well, which differs from datum to datum:
the interval is Student's over the data, and nothing is added to it for the draws.

Reference: Student 1908, Biometrika 6(1) (the interval); Nowozin 2018, "Debiasing evidence
approximations" (the first-order bias of a log of a mean).
Bias: that of the first estimate less that of the second. It is not in the interval; `bias` is what
the draws show of it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from tightbound.core.errors import UsageError
from tightbound.evidence.batches import mean, stderr_of_draws, stderr_of_mean
from tightbound.evidence.estimate import KINDS, Estimate
from tightbound.evidence.verdict import WORDS, Verdict

COVERAGE = 0.95
MEANINGS = {
    "exact": "the difference itself",
    "lower": "a stochastic lower bound on the difference",
    "upper": "a stochastic upper bound on the difference",
    "none": "no bound on the difference",
}
"""What the directions of a comparison mean."""
_LOW = (("lower", "exact"), ("lower", "upper"), ("exact", "upper"))


class Comparison(NamedTuple):
    """Differences in log p(x) per datum, first less second, in nats; arrays of shape (n,)."""

    difference: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    """Standard error of each difference from its draws, as if both models' were independent."""
    directions: tuple[str, str]
    """"exact", "lower", "upper" or "consistent" for each of the two."""
    bias: float
    """First-order bias of the mean difference from the finite draws; 0 where it is removed."""
    stderr_unpaired: float
    """What the standard error of the mean would be if each model had had data of its own."""
    binarisation: str
    judgement: Verdict | None = None
    """The worse of the two results' verdicts, with its reason: neither error is in the interval."""

    @property
    def verdict(self) -> str:
        """The worse of the two words; empty if neither has one."""
        return "" if self.judgement is None else self.judgement.word

    @property
    def direction(self) -> str:
        """What the mean is against the true difference: "exact", "lower", "upper" or "none"."""
        first, second = self.directions
        if first == second == "exact":
            return "exact"
        if (first, second) in _LOW:
            return "lower"
        return "upper" if (second, first) in _LOW else "none"

    @property
    def mean(self) -> float:
        """Mean difference over the data, in nats; positive where the first model is better."""
        return mean(self.difference)

    @property
    def stderr_data(self) -> float:
        """Standard error of the mean from the finite number of data, the draws' noise included."""
        return stderr_of_mean(self.difference)

    @property
    def stderr_draws(self) -> float:
        """The part of `stderr_data` that more draws would remove."""
        return stderr_of_draws(self.stderr)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean difference over data like these; NaN for a single datum."""
        n = len(self.difference)
        if n == 1:
            return math.nan, math.nan
        half = float(special.stdtrit(n - 1, 0.5 + COVERAGE / 2)) * self.stderr_data
        return self.mean - half, self.mean + half

    @property
    def wins(self) -> tuple[int, int]:
        """Data on which the first model is better, and those on which the second is."""
        return int(np.sum(self.difference > 0)), int(np.sum(self.difference < 0))

    def summary(self) -> str:
        """The result in a few lines, with unit, direction, errors and binarisation."""
        low, high = self.interval
        first, second = self.wins
        return "\n".join(
            [
                f"log p_a(x) - log p_b(x) = {self.mean:.3f} nats per datum, 95 % interval "
                f"[{low:.3f}, {high:.3f}] (n={len(self.difference)}; "
                f"binarisation: {self.binarisation})",
                f"  standard error {self.stderr_data:.3f} from the data, paired "
                f"({self.stderr_unpaired:.3f} unpaired), of which {self.stderr_draws:.3f} from "
                "the draws",
                *(
                    [f"  verdict: {self.verdict} ({self.judgement.reason})"]
                    if self.judgement
                    else []
                ),
                f"  a better on {first} data, b on {second}",
                f"  {self._words()}",
            ]
        )

    def _words(self) -> str:
        """What the difference is, in words."""
        first, second = map(in_words, self.directions)
        of = f"both {first}" if first == second else f"a {first}, b {second}"
        if self.direction == "exact":
            return f"{of}: {MEANINGS['exact']}"
        return (
            f"{of}: {MEANINGS[self.direction]}; first-order bias of the draws {self.bias:+.3f}, "
            "not in the interval"
        )


def compare(a: Estimate, b: Estimate) -> Comparison:
    """Compares two models by results on the same data, in the same order; nats.

    The interval is for the mean over all data of which these are a sample. With "one draw per
    item" both results must come from the same key, or they are about different binary data; it
    cannot be seen from them.

    Args:
        a: What `tb.evaluate`, `tb.evidence.exact` or another estimator of `tb.evidence` gave.
        b: The same for the other model; the estimators may differ.

    Raises:
        UsageError: Something else than such results, other numbers of data, or another
            binarisation.
    """
    check_result("a", a)
    check_result("b", b)
    if len(a.log_evidence) != len(b.log_evidence):
        raise UsageError(
            "expected two results on the same data, got "
            f"{len(a.log_evidence)} and {len(b.log_evidence)} data"
        )
    if a.binarisation != b.binarisation:
        raise UsageError(
            "expected two results on the same binary data, got the binarisations "
            f"{a.binarisation!r} and {b.binarisation!r}: log p(x) under both is not comparable"
        )
    with np.errstate(invalid="ignore"):  # -inf for both models is no difference that we know
        difference = np.asarray(a.log_evidence, np.float64) - b.log_evidence
    return Comparison(
        difference=difference,
        stderr=np.hypot(a.stderr.astype(np.float64), b.stderr),
        directions=(a.direction, b.direction),
        bias=_bias(a) - _bias(b),
        stderr_unpaired=math.hypot(a.stderr_data, b.stderr_data),
        binarisation=a.binarisation,
        judgement=_worse(a, b),
    )


def _worse(a: Estimate, b: Estimate) -> Verdict | None:
    """The worse verdict of two, and whose it is."""
    judged = [
        found.judgement._replace(reason=f"{name}: {found.judgement.reason}")
        for name, found in (("a", a), ("b", b))
        if found.judgement is not None
    ]
    return max(judged, key=lambda verdict: WORDS.index(verdict.word), default=None)


def check_result(name: str, result: Any) -> None:
    """Refuses what is no estimate of log p(x) per datum.

    Raises:
        UsageError: The name and the type are given.
    """
    if not isinstance(result, Estimate):
        raise UsageError(
            f"expected {name} to be an Estimate, as tb.evaluate and the estimators of tb.evidence "
            f"give, got {type(result).__name__}"
        )


def in_words(direction: str) -> str:
    """What log p(x) of a result is, by its direction."""
    bound = direction in ("lower", "upper")
    return f"a {KINDS[direction]}" if bound else KINDS[direction]


def _bias(result: Estimate) -> float:
    """First-order bias of the mean: the log of a mean of k weights is low by Var / 2."""
    sign = {"lower": -0.5, "upper": 0.5}.get(result.direction, 0.0)
    return sign * float(np.mean(result.stderr.astype(np.float64) ** 2)) if sign else 0.0
