"""What every estimator of log p(x) gives back: per datum a value, an error, and how it went."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tightbound.core.errors import UsageError
from tightbound.evidence.batches import (
    errors,
    headline,
    mean,
    stderr_of_draws,
    stderr_of_mean,
)
from tightbound.evidence.importance.pareto import tail_length
from tightbound.evidence.importance.tail import Tail, tail
from tightbound.evidence.terms import DRAWS, Terms
from tightbound.evidence.verdict import (
    WORDS,
    Verdict,
    Weighed,
    at_least,
    by_error,
    judge,
    judge_each,
)
from tightbound.evidence.weighted import WeightedDraws

RESULTS = ("ok", "few effective draws", "not finite", "k-hat beyond 1")
"""What the codes of `Estimate.result` mean."""
TAIL = ("khat", "missing", "most_missing")
"""What is known of the tail of each datum's weights, in `Estimate.diagnostics`."""
FEW = 2.0
"""Below so many effective draws a single one decides the estimate."""
KINDS = {
    "exact": "exact",
    "lower": "stochastic lower bound",
    "upper": "stochastic upper bound",
    "consistent": "consistent, no bound",
}
"""What an estimate is of log p(x), by its direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """Log-evidence per datum in nats, larger is better; arrays of shape (n,) on the host.

    Data stand in the order in which they were given. Two estimates are equal only if they are the
    same object.
    """

    log_evidence: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    """Standard error of each estimate from its own draws: see `importance.tail`."""
    ess: Float[np.ndarray, " n"]
    """Effective number of draws (or chains); 0 where nothing is drawn."""
    result: Int[np.ndarray, " n"]
    """0: as it should be; 1: fewer than two effective draws; 2: not finite; 3: the mean weight is
    none that draws find. See `RESULTS`."""
    direction: str
    """"lower", "upper", "consistent" for no bound, or "exact": the mean against log p(x)."""
    method: str
    """The estimator with its settings, in words."""
    draws: int
    """Draws (or chains) per datum."""
    binarisation: str
    seconds: float
    diagnostics: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Numbers of the estimator's own, by name, each with a leading axis n."""
    rounding: Float[np.ndarray, " n"] | float = 0.0
    """How far single precision may have taken each estimate, in nats, beside `stderr`."""
    at_least: Bool[np.ndarray, " n"] | bool = False
    """Of which data `stderr` is only a lower bound: their weights may have no variance, or are too
    few to tell."""
    judgement: Verdict | None = None
    """The verdict on the set with its reason."""
    verdicts: tuple[str, ...] = ()
    """The verdict on each datum by itself."""
    weighted: WeightedDraws | None = None
    """The draws that the estimate was made of, with their weights, if they were kept (`keep=`)."""
    recommended: "Estimate | None" = None
    """Another estimate of the same data, to be believed before this one."""
    steps: Int[np.ndarray, " n"] | None = None
    """Of sequences, how many steps each has: all else is per sequence. None of other data."""

    def __post_init__(self) -> None:
        """Refuses a direction that says nothing.

        Raises:
            UsageError: It is none of `KINDS`.
        """
        if self.direction not in KINDS:
            raise UsageError(
                f"expected direction to be one of {', '.join(KINDS)}, got {self.direction!r}"
            )

    @property
    def verdict(self) -> str:
        """The word on the set, such as "trust" (see `evidence.verdict`); empty if there is none."""
        return "" if self.judgement is None else self.judgement.word

    @property
    def mean(self) -> float:
        """Mean log-evidence over the data, in nats."""
        return mean(self.log_evidence)

    @property
    def stderr_draws(self) -> float:
        """Standard error of the mean from the finite number of draws."""
        return stderr_of_draws(self.stderr)

    @property
    def stderr_data(self) -> float:
        """Standard error of the mean from the finite number of data; NaN for one datum."""
        return stderr_of_mean(self.log_evidence)

    @property
    def per_step(self) -> float:
        """Of sequences, the sum of all log p(x) over that of all steps, in nats; else NaN."""
        if self.steps is None:
            return math.nan
        return float(np.sum(self.log_evidence, dtype=np.float64) / np.sum(self.steps))

    @property
    def stderr_per_step(self) -> float:
        """Standard error of `per_step` from the finite number of sequences; NaN for one."""
        n = len(self.log_evidence)
        if self.steps is None or n == 1:
            return math.nan
        away = np.asarray(self.log_evidence, np.float64) - self.per_step * self.steps
        return float(np.sqrt(n / (n - 1) * np.sum(away**2)) / np.sum(self.steps))

    def summary(self) -> str:
        """The result in a few lines: the number to believe with its error, the verdict, the rest.

        The number is that of `recommended`, where there is one.
        """
        first = self if self.recommended is None else self.recommended
        judged = [*first.judged(), *self._by_steps(first)]
        lines = [first.headline()]
        if first is self:
            lines += judged
        else:
            lines += [f"by {first.method}", *judged, "beside it:", *self.judged()]
        return "\n  ".join([*lines, *self._rest()])

    def headline(self) -> str:
        """The mean with its error, its unit, and all that it depends on, in one line."""
        return headline(
            self.log_evidence,
            self._error(),
            KINDS[self.direction],
            self.binarisation,
            digits=4 if self.direction == "exact" else 3,
            each="datum" if self.steps is None else "sequence",
        )

    def judged(self) -> list[str]:
        """The verdicts, a line each, where there are any."""
        if self.judgement is None:
            return []
        lines = [f"verdict: {self.verdict} ({self.judgement.reason})"]
        if len(self.verdicts) > 1:
            counted = ", ".join(
                f"{self.verdicts.count(word)} {word}" for word in WORDS if word in self.verdicts
            )
            lines.append(f"of the data by themselves: {counted}")
        return lines

    def _by_steps(self, first: "Estimate") -> list[str]:
        """Of sequences the headline's number per step, which papers mostly give."""
        if self.steps is None:
            return []
        n, total = len(self.steps), int(np.sum(self.steps))
        error = f", standard error {self.stderr_per_step:.4f} from the data" if n > 1 else ""
        return [f"per step: {first.mean * n / total:.4f} nats{error} ({total:,} steps)"]

    def _error(self) -> str:
        """The error of the mean in words, as far as it is known."""
        if self.direction == "exact":
            error = self.diagnostics.get("error")
            return "" if error is None else f"± {float(np.mean(error)):.1e}"
        rounded = float(np.mean(self.rounding))
        return errors(self.stderr_draws, rounded, at_least=bool(np.any(self.at_least)))

    def _rest(self) -> list[str]:
        """The method, the errors from the data, and how the draws went."""
        many = len(self.log_evidence) > 1
        of_data = f"standard error {self.stderr_data:.4g} from the data" if many else ""
        if self.direction == "exact":
            return [self.method, f"{of_data}; none from draws" if many else "nothing is drawn"]
        known = self.diagnostics
        elbo = f"ELBO {float(np.mean(known['elbo'])):.2f}" if "elbo" in known else ""
        both = "; ".join(filter(None, (of_data, elbo)))
        return [self.method, *([both] if both else []), *self._of_draws()]

    def _of_draws(self) -> list[str]:
        """How the draws went."""
        known = self.diagnostics
        shape = ""
        if "khat" in known:
            khat = known["khat"][~np.isnan(known["khat"])]
            shape = f", median k-hat {np.median(khat):.2f}" if len(khat) else ", no k-hat"
        codes = ", ".join(
            f"{count} {RESULTS[code]}"
            for code, count in enumerate(np.bincount(self.result, minlength=len(RESULTS)))
            if count
        )
        return [f"median ESS {np.median(self.ess):.1f} of {self.draws}{shape}; {codes}"]


def weighed(draws: int, stderr: Any, numbers: Mapping[str, Any], rounding: Any = 0.0) -> Weighed:
    """What is known of weights, for a verdict.

    Args:
        draws: Of each datum.
        stderr: As `of_log_weights` has it, of shape (n,).
        numbers: Those of the tail, by name, and the jackknife's correction where there is one: an
            estimate's `diagnostics`.
        rounding: How far single precision may have taken each estimate, in nats.
    """
    stderr = np.asarray(stderr, np.float64)
    return Weighed(
        draws=draws,
        stderr=stderr,
        **{name: np.asarray(numbers[name], np.float64) for name in TAIL},
        rounding=np.broadcast_to(np.asarray(rounding, np.float64), stderr.shape),
        low=np.abs(numbers["jackknife"]) if "jackknife" in numbers else 0.0,
        between=numbers.get("between", 0.0),
    )


def with_verdict(found: Estimate, terms: Terms | None, *, growth: float = 0.0) -> Estimate:
    """The estimate with its verdicts, and what is known of its errors.

    Args:
        found: An estimate whose `diagnostics` hold what `of_log_weights` says of the tail.
        terms: The estimator's words; None where nothing is drawn, and `error` says how far off it
            may be.
        growth: As for `judge`.
    """
    if terms is None:
        judgement, verdicts = by_error(found.diagnostics["error"])
        return replace(found, judgement=judgement, verdicts=verdicts)
    known = weighed(found.draws, found.stderr, found.diagnostics, found.rounding)
    codes = result_codes(found.log_evidence, found.ess, found.draws, known.khat)
    return replace(
        found,
        result=codes,
        at_least=at_least(known, terms),
        judgement=judge(known, terms, growth=growth),
        verdicts=judge_each(known, terms),
    )


class OfWeights(NamedTuple):
    """What the log-weights of each datum say; nats."""

    log_z: Float[Array, " n"]
    """Log of the mean weight."""
    stderr: Float[Array, " n"]
    ess: Float[Array, " n"]
    tail: dict[str, Float[Array, " n"]]
    """k-hat and what the tail may add, for `Estimate.diagnostics`."""


def of_log_weights(log_w: Float[Array, "n k"], terms: Terms = DRAWS) -> OfWeights:
    """Log of the mean weight of each datum with its error, the ESS, and the weights' tail.

    Args:
        log_w: Log-weights, independent along the last axis.
        terms: Whose they are: of too few chains no tail is fitted.
    """
    k = log_w.shape[1]
    total = jax.nn.logsumexp(log_w, axis=1)
    ess = jnp.minimum(jnp.exp(2 * total - jax.nn.logsumexp(2 * log_w, axis=1)), k)
    m = 0 if terms.chains and terms.too_few(k) else min(tail_length(k), k - 1)
    largest = jax.lax.top_k(log_w, m + 1)[0][:, ::-1]
    peak = jnp.where(jnp.isfinite(largest[:, -1]), largest[:, -1], 0.0)
    weights = jnp.exp(log_w - peak[:, None])
    found = jax.vmap(partial(tail, k=k))(
        largest, jnp.sum(weights, axis=1), jnp.sum(weights**2, axis=1)
    )
    return OfWeights(total - jnp.log(k), found.stderr, ess, of_tail(found))


def of_tail(found: Tail) -> dict[str, Any]:
    """The tail's numbers by name, as `Estimate.diagnostics` has them."""
    return {name: getattr(found, name) for name in TAIL}


def undefined(log_w: Float[Array, "n k"]) -> Int[Array, " n"]:
    """How many log-weights of each datum are NaN or +inf."""
    return jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf), axis=1)


def result_codes(
    log_z: Float[np.ndarray, " n"],
    ess: Float[np.ndarray, " n"],
    k: int,
    khat: Float[np.ndarray, " n"] | None = None,
) -> Int[np.ndarray, " n"]:
    """The code of each datum's result, from its estimate, its ESS of k draws, and k-hat."""
    code = np.zeros(len(log_z), np.int32) if khat is None else np.where(khat > 1, 3, 0)
    code = np.where(ess < min(FEW, k), 1, code)
    return np.where(np.isfinite(log_z), code, 2).astype(np.int32)
