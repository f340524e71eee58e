"""Judging the fitted replicas of a run: log-likelihood and active units, as records."""

from pathlib import Path
from typing import Any

import numpy as np

from tightbound import data
from tightbound.config import Config
from tightbound.data.arrays import save_arrays
from tightbound.errors import UsageError
from tightbound.evidence import Estimate, Evaluation, active_units, evaluate
from tightbound.evidence.active_units import THRESHOLD
from tightbound.evidence.verdict import WORDS
from tightbound.models import plug_in
from tightbound.runs.folder import open_run, write_json
from tightbound.training import Run

UNITS_ITEMS = 500
"""Training items for active units, as in the code of Burda et al. (2015)."""


def evaluate_run(
    directory: Path,
    *,
    k: int,
    key: int = 0,
    split: str = "test",
    temperatures: int | None = None,
    chains: int = 16,
) -> dict[str, Any]:
    """Evaluates every replica on one part of the run's data, and writes the records.

    A call that was killed goes on where it was when it is made again.
    """
    config, run = open_run(directory)
    ds = data.load(config.data, split=config.split)
    items = {"train": ds.train, "validation": ds.validation, "test": ds.test}
    if split not in items:
        raise UsageError(f"expected a split out of {', '.join(items)}, got {split!r}")
    evaluations = [
        evaluate(
            plug_in(parts.model),
            parts.posterior,
            items[split],
            k=k,
            key=key,
            binarize=config.binarize,
            temperatures=temperatures,
            chains=chains,
            resume=directory / f"evaluation.{number}.part.npz",
        )
        for number, parts in enumerate(run.replicas)
    ]
    record = evaluation_record(evaluations, split)
    arrays = {
        name: np.stack([getattr(ev, name) for ev in evaluations])
        for name in ("log_evidence", "stderr", "ess", "khat", "jackknife")
    }
    if temperatures is not None:
        found = [ev.annealed for ev in evaluations if ev.annealed is not None]
        arrays |= {
            f"annealed_{name}": np.stack([getattr(ais, name) for ais in found])
            for name in ("log_evidence", "stderr", "ess")
        }
    save_arrays(directory / "evaluation.npz", arrays)
    write_json(directory / "evaluation.json", record)
    return record


def evaluation_record(evaluations: list[Evaluation], split: str) -> dict[str, Any]:
    """What `evaluation.json` says; the interval is over seeds, or over data if there is one."""
    from scipy import stats

    first = evaluations[0]
    means = np.array([ev.mean for ev in evaluations])
    if len(means) > 1:
        half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
        kind = f"95 % over {len(means)} seeds (Student's t)"
    else:
        # The scatter over the data holds that of the draws, each datum having its own.
        half = 1.96 * first.stderr_data
        kind = "95 % over the data (normal)"
    worst = max(evaluations, key=lambda ev: WORDS.index(ev.verdict))
    return {
        "split": split,
        "binarisation": first.binarisation,
        "k": first.k,
        "n": len(first.log_evidence),
        "unit": "nats",
        "direction": "lower (stochastic, consistent in k)",
        "seeds": [
            {
                "log_evidence_mean": ev.mean,
                "stderr_mean_mc": ev.stderr_draws,
                "stderr_data": ev.stderr_data,
                "elbo_mean": float(np.mean(ev.elbo)),
                "ess_median": float(np.median(ev.ess)),
                "khat_share_bad": ev.judgement.share_beyond,
                "verdict": ev.verdict,
                "reason": ev.judgement.reason,
                "annealed": None if ev.annealed is None else _annealed(ev.annealed),
                "verdicts": {word: ev.verdicts.count(word) for word in WORDS},
                "bound_by_k": {str(j): bound for j, bound in ev.bound_by_k.items()},
            }
            for ev in evaluations
        ],
        "mean": float(means.mean()),
        "interval": [float(means.mean() - half), float(means.mean() + half)],
        "interval_kind": kind,
        "verdict": worst.verdict,
        "reason": worst.judgement.reason,
        "seconds": sum(ev.seconds for ev in evaluations),
    }


def _annealed(found: Estimate) -> dict[str, Any]:
    """What the record says of annealed importance sampling."""
    return {
        "log_evidence_mean": found.mean,
        "stderr_mean_mc": found.stderr_draws,
        "direction": f"{found.direction} (stochastic)",
        "method": found.method,
        "acceptance_mean": float(np.mean(found.diagnostics["acceptance"])),
        "seconds": found.seconds,
    }


def write_units(directory: Path, run: Run, ds: data.Dataset, config: Config) -> None:
    """Active units of the first replica, on the first training items."""
    layers = active_units(
        run.model, run.posterior, ds.train[:UNITS_ITEMS], binarize=config.binarize, key=config.key
    )
    record = {
        "threshold": THRESHOLD,
        "items": min(UNITS_ITEMS, len(ds.train)),
        "layers": [
            {
                "name": f"h{level}",
                "variance": units.variance.tolist(),
                "kl": None if units.kl is None else units.kl.tolist(),
                "active": units.active,
                "spectrum": units.spectrum.tolist(),
            }
            for level, units in enumerate(layers, start=1)
        ],
    }
    write_json(directory / "units.json", record)
