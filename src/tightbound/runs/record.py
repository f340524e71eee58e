"""What the record of an evaluation says: the numbers of each replica and of all together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tightbound.evidence import Corrected, Estimate, Evaluation, LadderEvidence
from tightbound.evidence.ladder.two_phase import Difference
from tightbound.evidence.verdict import WORDS, Verdict

LOWER = "lower (stochastic, consistent in k)"
CONSISTENT = "consistent (no bound)"
EXACT = "exact"


def per_datum(estimates: Sequence[Estimate]) -> dict[str, np.ndarray]:
    """Arrays of shape (seeds, n), in nats; the ladder's are NaN for data not looked at.

    Of log p(x) that is exact there is `error`, how far it may be off, in place of what draws have.
    """
    if all(found.direction == EXACT for found in estimates):
        return {
            "log_evidence": np.stack([found.log_evidence for found in estimates]),
            "error": np.stack([found.diagnostics["error"] for found in estimates]),
        }
    evaluations = [ev for ev in estimates if isinstance(ev, Evaluation)]
    arrays = _stacked(estimates)
    if evaluations:
        arrays |= {
            name: np.stack([ev.diagnostics[name] for ev in evaluations])
            for name in ("khat", "jackknife")
        }
    annealed = [ev.annealed for ev in evaluations if ev.annealed is not None]
    if annealed:
        arrays |= {f"annealed_{name}": array for name, array in _stacked(annealed).items()}
    ladders = [ladder for ev in evaluations if (ladder := _ladder(ev)) is not None]
    for name in ("log_evidence", "stderr") if ladders else ():
        found = np.full(arrays["log_evidence"].shape, np.nan)
        for values, ladder in zip(found, ladders, strict=True):
            values[ladder.rows] = getattr(ladder, name)
        arrays[f"ladder_{name}"] = found
    return arrays


def _stacked(estimates: Sequence[Estimate]) -> dict[str, np.ndarray]:
    """What every estimator says of each datum."""
    names = ("log_evidence", "stderr", "ess", "rounding")
    return {
        name: np.stack(
            [np.broadcast_to(getattr(found, name), found.stderr.shape) for found in estimates]
        )
        for name in names
    }


def _ladder(ev: Estimate) -> LadderEvidence | None:
    """What the ladder said of the data that it looked at, if it looked beside another estimate."""
    better = ev.recommended
    if isinstance(better, Corrected):
        return better.ladder
    return better if isinstance(better, LadderEvidence) else None


def evaluation_record(estimates: Sequence[Estimate], split: str) -> dict[str, Any]:
    """The numbers of a record: those that the ladder corrected, where it looked.

    Of log p(x) that is exact there is no k.

    The interval is over seeds, or over data if there is one; either way it holds the error of the
    correction, which seeds share as they share the data.
    """
    from scipy import stats

    first = estimates[0]
    ladders = [ladder for ev in estimates if (ladder := _ladder(ev)) is not None]
    leading = [_leading(ev) for ev in estimates]
    means = np.array([found.mean for found in leading])
    if len(means) > 1:
        half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
        half = np.hypot(half, 1.96 * shared_error(estimates))
        kind = f"95 % over {len(means)} seeds (Student's t)"
    else:
        # The scatter over the data holds that of the draws, each datum having its own.
        half = 1.96 * leading[0].stderr_data
        kind = "95 % over the data (normal)"
    worst = max(leading, key=lambda found: WORDS.index(found.verdict))
    return {
        "split": split,
        "binarisation": first.binarisation,
        **({"k": first.k} if isinstance(first, Evaluation) else {}),
        "n": len(first.log_evidence),
        "unit": "nats",
        "direction": _together([_direction(found) for found in leading]),
        "seeds": [_of_seed(ev) for ev in estimates],
        "mean": float(means.mean()),
        "interval": [float(means.mean() - half), float(means.mean() + half)],
        "interval_kind": f"{kind}, and the ladder's" if ladders else kind,
        "verdict": worst.verdict,
        "reason": "" if worst.judgement is None else worst.judgement.reason,
        "seconds": sum(ev.seconds for ev in estimates),
        **({} if first.steps is None else _over_steps(means, first.steps)),
    }


def _over_steps(means: Float[np.ndarray, " seeds"], steps: Int[np.ndarray, " n"]) -> dict[str, Any]:
    """Of sequences, the mean of all seeds per step; all other numbers are per sequence."""
    total = int(np.sum(steps))
    return {"steps": total, "per_step": float(means.mean()) * len(steps) / total}


def _leading(ev: Estimate) -> Estimate:
    """What stands for a seed: what the ladder corrected, where it looked."""
    return ev if _ladder(ev) is None or ev.recommended is None else ev.recommended


def shared_error(estimates: Sequence[Estimate]) -> float:
    """The error from the ladder's choice of data, which the seeds share; 0 where there is none."""
    return float(np.mean([_stderr_shift(_leading(found)) for found in estimates]))


def _stderr_shift(found: Estimate) -> float:
    """The error from the choice of the data that were looked at; none where all of them were."""
    return found.stderr_shift if isinstance(found, Corrected) else 0.0


def _direction(found: Estimate) -> str:
    """What the mean is: exact, or a lower bound unless the ladder moved it."""
    return {"lower": LOWER, "exact": EXACT}.get(found.direction, CONSISTENT)


def _together(directions: Sequence[str]) -> str:
    """What the mean of all seeds is; lower bounds are consistent too."""
    return directions[0] if len(set(directions)) == 1 else CONSISTENT


def _of_seed(ev: Estimate) -> dict[str, Any]:
    """What a record says of one seed."""
    if not isinstance(ev, Evaluation):
        return _of_estimate(ev)
    ladder = _ladder(ev)
    return {
        **_of_estimate(ev),
        "elbo_mean": float(np.mean(ev.elbo)),
        "annealed": None if ev.annealed is None else _annealed(ev.annealed),
        **({} if ladder is None else {"recommended": _recommended(ev, ladder)}),
        "verdicts": {word: ev.verdicts.count(word) for word in WORDS},
        "bound_by_k": {str(j): bound for j, bound in ev.bound_by_k.items()},
    }


def _recommended(ev: Evaluation, ladder: LadderEvidence) -> dict[str, Any]:
    """What the record says of the mean that the ladder corrected, and what the ladder took."""
    found = _leading(ev)
    away = Difference.of(ev, found.mean, found.stderr_draws)
    if isinstance(found, Corrected):
        away = Difference(found.difference, found.stderr_difference)
    said = _of_estimate(found)
    del said["seconds"]  # of its importance sampling alone; the seed's are all
    return {
        # Of the data that were looked at; k-hat is of the weights, and none of the ladder's.
        "share_doubtful": said.pop("khat_share_bad", None),
        **said,
        "direction": _direction(found),
        "shift": found.mean - ev.mean,
        "stderr_shift": _stderr_shift(found),
        "difference": away.mean,
        "stderr_difference": away.stderr,
        "n": len(ladder.rows),
        "evaluations": int(np.sum(ladder.evaluations)),
        "gradients": int(np.sum(ladder.gradients)),
    }


def _of_estimate(found: Estimate) -> dict[str, Any]:
    """What a record says of any estimate."""
    judged = found.judgement
    return {
        "log_evidence_mean": found.mean,
        "stderr_mean_mc": found.stderr_draws,
        "stderr_at_least": bool(np.any(found.at_least)),
        "stderr_data": found.stderr_data,
        "rounding": float(np.mean(found.rounding)),
        "ess_median": float(np.median(found.ess)),
        "method": found.method,
        "seconds": found.seconds,
        **({} if judged is None else _of_verdict(judged)),
        **_of_steps(found),
    }


def _of_steps(found: Estimate) -> dict[str, Any]:
    """Of sequences the number per step: all others are per sequence."""
    if found.steps is None:
        return {}
    return {
        "unit": "nats per sequence",
        "steps": int(np.sum(found.steps)),
        "per_step": found.per_step,
        "stderr_per_step": found.stderr_per_step,
    }


def _of_verdict(judged: Verdict) -> dict[str, Any]:
    """The verdict on one seed."""
    return {
        "khat_share_bad": judged.share_beyond,
        "verdict": judged.word,
        "reason": judged.reason,
    }


def _annealed(found: Estimate) -> dict[str, Any]:
    """What the record says of annealed importance sampling."""
    return {
        **_of_estimate(found),
        "direction": f"{found.direction} (stochastic)",
        "acceptance_mean": float(np.mean(found.diagnostics["acceptance"])),
    }
