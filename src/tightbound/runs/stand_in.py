"""A stand-in for `tb.fit_table` of the same shape, until that is there."""

import time
from typing import Any, NamedTuple

import numpy as np

from tightbound import data
from tightbound.evidence import evaluate
from tightbound.models import autoencoder
from tightbound.models.finite import gaussian_mixture as models_gaussian_mixture
from tightbound.training import Run, em, fit


class Candidate(NamedTuple):
    """One model that was tried."""

    name: str
    kind: str
    log_p: float
    stderr: float
    rows: int
    difference: float
    difference_stderr: float
    weight: float
    seconds: float


class Choice(NamedTuple):
    """All of them."""

    candidates: tuple[Candidate, ...]
    chosen: str
    notes: tuple[str, ...] = ()

    def to_entries(self) -> dict[str, Any]:
        """The choice as JSON holds it."""
        entries = [one._asdict() for one in self.candidates]
        return {"candidates": entries, "chosen": self.chosen, "notes": list(self.notes)}


class Found(NamedTuple):
    """The model that was chosen."""

    model: Any
    posterior: Any
    choice: Choice
    run: Run


def fit_table(ds: data.Dataset, candidates: tuple[str, ...] | None = None, key: int = 0) -> Found:
    """Fits what is asked for, and takes the best on the validation rows."""
    tried = []
    levels = ds.schema is not None and any(c.levelled for c in ds.schema.columns)
    filled = np.where(np.isnan(ds.train), np.nanmean(ds.train, axis=0), ds.train)
    for name in candidates or ("gaussian", "mixture", "deep"):
        began = time.perf_counter()
        if name == "deep":
            if levels:
                m, q = autoencoder(ds, latent=2, hidden=(20,), likelihood="columns", key=key)
            else:
                m, q = autoencoder(ds, latent=2, hidden=(20,), likelihood="gaussian", key=key)
            run = fit(m, q, ds.train, objective="iwae(k=5)", epochs=5, key=key, optimizer="adam")
        elif levels:
            continue
        else:
            start = models_gaussian_mixture(filled, components={"mixture": 3}.get(name, 1), key=key)
            run = em(start, ds.train, iterations=50).as_run()
        how: Any = {"k": 500} if run.posterior else {}
        e = evaluate(run.model, run.posterior, ds.validation, **how)
        tried.append((name, run, e, time.perf_counter() - began))
    best = max(tried, key=lambda t: t[2].mean)
    found = []
    for name, _, e, seconds in tried:
        away = e.log_evidence - best[2].log_evidence
        se = float(away.std() / len(away) ** 0.5)
        found.append(
            Candidate(
                name,
                name,
                e.mean,
                e.stderr_data,
                len(away),
                float(away.mean()),
                se,
                float(name == best[0]),
                seconds,
            )
        )
    return Found(best[1].model, best[1].posterior, Choice(tuple(found), best[0]), best[1])
