"""`tb.evaluate` without settings: the ladder for each datum, and what comes of it as an estimate.

Bias: that of the ladder (`ladder.ladder`).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

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
from tightbound.evidence.ladder.cover import MOST
from tightbound.evidence.ladder.ladder import TERMS, Ascent
from tightbound.evidence.ladder.rungs import Rung, of_weights
from tightbound.evidence.ladder.units import Units
from tightbound.evidence.rounding import rounding
from tightbound.evidence.terms import DRAWS
from tightbound.evidence.verdict import WORDS, allowed
from tightbound.evidence.weighted import WeightedDraws, weighted
from tightbound.mcmc import check_moves
from tightbound.models import Target
from tightbound.models.model import Model

OF_EACH = 300_000
"""Evaluations for each datum by default, of the density and of its gradient."""
LEAST = 1_000_000


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
    if ascent.crowded:
        word = WORDS[2]
        reason = f"there are more modes than the {MOST} components of the mixture; {reason}"
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
    word = word if doubtful <= allowed(len(words)) else WORDS[max(1, WORDS.index(word))]
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
