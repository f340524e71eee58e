"""`tb.evaluate` without settings: the ladder for each datum, and what comes of it as an estimate.

With a posterior for many data, importance sampling from it judges all of them, and the ladder some:
its mean difference from importance sampling, of data whose weights pass and of those whose weights
do not, corrects the mean over all.

Reference: Cochran 1977, Sampling Techniques, sections 5.3 and 12.6 (differences in two phases, by
strata).
Bias: that of the ladder (`ladder.ladder`) and none of the sampling of data.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import special

from tightbound.core.budget import Budget
from tightbound.core.compilation import filter_jit
from tightbound.core.errors import NonFiniteError
from tightbound.core.items import Data
from tightbound.core.progress import Progress
from tightbound.core.streams import numbered, stream
from tightbound.distributions import AbstractConditional
from tightbound.evidence.batches import Prepared
from tightbound.evidence.estimate import Estimate, with_verdict
from tightbound.evidence.execution import Execution
from tightbound.evidence.ladder.ladder import TERMS, Ascent
from tightbound.evidence.ladder.rungs import Rung, of_weights
from tightbound.evidence.ladder.units import Units
from tightbound.evidence.rounding import rounding
from tightbound.evidence.terms import CASES, DRAWS
from tightbound.evidence.verdict import BIAS, SHARE, WORDS, Verdict
from tightbound.evidence.weighted import WeightedDraws, weighted
from tightbound.mcmc import check_moves
from tightbound.models import Target
from tightbound.models.model import Model

OF_EACH = 300_000
"""Evaluations for each datum by default, of the density and of its gradient."""
LEAST = 1_000_000
AUDITED = 16
"""Data that the ladder judges beside importance sampling."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LadderEvidence(Estimate):
    """What the ladder found of each datum: consistent, no bound. `draws` are the fewest of any."""

    rungs: tuple[tuple[Rung, ...], ...]
    """What each step said, for each datum, in the order of the steps."""
    rows: Int[np.ndarray, " n"]
    """The numbers of the data."""

    @property
    def evaluations(self) -> Int[np.ndarray, " n"]:
        """Evaluations of the density for each datum."""
        return self.diagnostics["evaluations"]

    @property
    def gradients(self) -> Int[np.ndarray, " n"]:
        """Evaluations of its gradient; Hessians count as many as there are dimensions."""
        return self.diagnostics["gradients"]


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
    `shift`."""
    stderr_difference: float

    @property
    def stderr_draws(self) -> float:
        """Standard error of the mean, from draws and from the choice of the data looked at."""
        return float(np.hypot(super().stderr_draws, self.stderr_shift))

    @property
    def stderr_data(self) -> float:
        """That from the finite number of data, and from the choice of those looked at."""
        return float(np.hypot(super().stderr_data, self.stderr_shift))


def climbed(
    model: Model,
    posterior: AbstractConditional | None,
    data: Prepared,
    rows: Int[np.ndarray, " n"],
    budget: Budget,
    run: Execution,
) -> LadderEvidence:
    """The ladder for each of some data, which share the budget.

    Args:
        model: p(x, z), with z on all real numbers.
        posterior: q(z|x) from whose draws some climbs start, if there is one.
        data: All data.
        rows: The numbers of those that are looked at.
        budget: For all of them together.
        run: How the call is carried out.

    Raises:
        UsageError: A prior on something else than all real numbers.
        NonFiniteError: A density that is nowhere finite, or NaN.
    """
    check_moves(model.prior, "the way to the evidence without settings")
    found: list[Estimate] = []
    rungs: list[tuple[Rung, ...]] = []
    cost = 0
    with Progress("climbing", len(rows), shown=run.progress) as bar:
        for number, row in enumerate(rows):
            values, _ = data.seen(np.asarray([row]))
            ascent = Ascent(
                model,
                jax.tree.map(lambda leaf: leaf[0], values),
                posterior=posterior,
                key=numbered(stream(data.noise_key, "ladder.rows"), int(row)),
                budget=budget.part(cost, len(rows) - number),
            )
            try:
                ascent.settle()
            except NonFiniteError as error:
                where = "" if isinstance(model, Target) else f" (row {row}, counted from 0)"
                raise NonFiniteError(f"{error}{where}") from None
            cost += ascent.cost
            found.append(_estimate(ascent, values, data.once, run))
            rungs.append(tuple(ascent.rungs))
            bar.advance()
    return _together(found, tuple(rungs), np.asarray(rows), run.seconds)


def _estimate(ascent: Ascent, x: Data, once: str, run: Execution) -> Estimate:
    """One datum's estimate, with its verdict and what was done for it."""
    chains = ascent.best is not None
    drawn, terms = (ascent.chains, TERMS) if chains else (ascent.drawn, DRAWS)
    top = np.max(drawn.log_w)
    of = of_weights(jnp.asarray(drawn.log_w - top, jnp.float32)[None], terms)
    z = _z(ascent.units, jnp.asarray(drawn.u, jnp.float32))
    heaviest = jax.tree.map(lambda leaf: leaf[np.argmax(drawn.log_w)][None], z)
    keep = run.keeps(ascent.model, len(drawn.log_w))
    each = jax.tree.map(lambda leaf: np.asarray(leaf)[None], z)
    counts = {
        "evaluations": ascent.evaluations,
        "gradients": ascent.gradients,
        "climbs": ascent.climbs,
        "components": len(ascent.cover.log_mass),
    }
    estimate = Estimate(
        log_evidence=np.asarray(of.log_z, np.float64) + top,
        stderr=np.asarray(of.stderr),
        ess=np.asarray(of.ess),
        result=np.zeros(1, np.int32),
        direction="consistent",
        method=f"the ladder: {(ascent.best or ascent.sampled).words}",
        draws=len(drawn.log_w),
        binarisation=once,
        seconds=run.seconds,
        diagnostics={
            **{name: np.asarray(value) for name, value in of.tail.items()},
            **{name: np.asarray([count]) for name, count in counts.items()},
        },
        rounding=np.asarray(_rounding(ascent.model, x, heaviest)),
        weighted=weighted(ascent.model, each, drawn.log_w[None]) if keep else None,
    )
    judged = with_verdict(estimate, terms)
    sought = f"modes were sought by {ascent.climbs} climbs from {ascent.where}"
    assert judged.judgement is not None
    word, reason = judged.judgement.word, f"{judged.judgement.reason}; {sought}"
    if ascent.doubts:
        word = WORDS[max(1, WORDS.index(word))]
        reason = f"{'; '.join(ascent.doubts)}; {reason}; a larger budget= may settle it"
    judgement = judged.judgement._replace(word=word, reason=reason)
    return replace(judged, judgement=judgement, verdicts=(word,))


def _together(
    found: list[Estimate],
    rungs: tuple[tuple[Rung, ...], ...],
    rows: Int[np.ndarray, " n"],
    seconds: float,
) -> LadderEvidence:
    """The estimates of single data as one."""
    whole: dict[str, Any] = vars(found[0]) | {
        name: np.concatenate([np.atleast_1d(getattr(of, name)) for of in found])
        for name in ("log_evidence", "stderr", "ess", "result", "rounding", "at_least")
    }
    whole |= {
        "diagnostics": {
            name: np.concatenate([of.diagnostics[name] for of in found])
            for name in found[0].diagnostics
        },
        "verdicts": tuple(of.verdicts[0] for of in found),
        "draws": min(of.draws for of in found),
        "seconds": seconds,
        "rungs": rungs,
        "rows": rows,
    }
    if len(found) == 1:
        return LadderEvidence(**whole)
    kept = [of.weighted for of in found]
    whole |= {"method": "the ladder, for each datum", "weighted": None}
    if all(of is not None for of in kept):
        whole["weighted"] = _stacked(kept)
    several = with_verdict(Estimate(**{of.name: whole[of.name] for of in fields(Estimate)}), DRAWS)
    assert several.judgement is not None
    words = tuple(whole["verdicts"])
    doubtful = np.mean([word != WORDS[0] for word in words])
    word = several.judgement.word
    word = word if doubtful <= SHARE else WORDS[max(1, WORDS.index(word))]
    reason = f"{100 * (1 - doubtful):.0f} % are trusted by themselves; {several.judgement.reason}"
    judgement = several.judgement._replace(word=word, reason=reason)
    judged = {"verdicts": words, "judgement": judgement, "at_least": several.at_least}
    return LadderEvidence(**whole | judged)


def _stacked(kept: list[Any]) -> WeightedDraws:
    """Draws of several data; as many of each as the fewest that any of them has."""
    k = min(of.log_weights.shape[-1] for of in kept)
    first = [jax.tree.map(lambda leaf: leaf[0, :k], of.z) for of in kept]
    z = jax.tree.map(lambda *leaves: np.stack(leaves), *first)
    log_weights = np.stack([of.log_weights[0, :k] for of in kept])
    return WeightedDraws(z=z, log_weights=log_weights, unconstrained=z)


_rounding = filter_jit(rounding)


@filter_jit
def _z(units: Units, u: Float[Array, "n d"]) -> Any:
    return jax.vmap(units.z)(u)


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
        difference=shift,
        stderr_difference=error,
    )
    return replace(found, judgement=_of_set(found))


def confirmed(judged: Estimate, ladder: LadderEvidence, better: Estimate) -> Corrected:
    """Importance sampling as it was, beside what the ladder says of it.

    Args:
        judged: Importance sampling that is trusted.
        ladder: Of some of the data.
        better: The corrected estimate, which is not: its error is larger.
    """
    assert judged.judgement is not None
    difference = better.mean - judged.mean
    error = float(np.hypot(better.stderr_draws, judged.stderr_draws))
    plain: dict[str, Any] = {of.name: getattr(judged, of.name) for of in fields(Estimate)}
    looked = f"the ladder on {len(ladder.rows)} of the data"
    reason = (
        f"{judged.judgement.reason}; {looked} does not contradict it: {difference:+.3f} "
        f"nats (standard error {error:.3f})"
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
        difference=difference,
        stderr_difference=error,
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
    word = WORDS[0] if off <= BIAS and doubtful <= SHARE else WORDS[1]
    if doubtful > SHARE:
        reason += f"; it is not sure of {100 * doubtful:.0f} % of them"
    if word != WORDS[0]:
        reason += ": a larger budget= looks at more data"
    return Verdict(word, reason, doubtful, abs(found.shift))
