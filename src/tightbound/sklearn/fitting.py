"""The fit behind the estimators, until there is one that chooses by itself."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tightbound.core.errors import unknown
from tightbound.data import Dataset, Schema
from tightbound.models import autoencoder
from tightbound.models.finite import gaussian_mixture
from tightbound.tasks import score
from tightbound.training import Run, em, fit


@dataclass(frozen=True)
class Candidate:
    """One model that was tried."""

    name: str
    description: str
    log_p: float
    stderr: float
    difference: float
    difference_stderr: float
    weight: float
    seconds: float


@dataclass(frozen=True)
class Choice:
    """What was tried, and what was chosen."""

    candidates: tuple[Candidate, ...]
    chosen: str

    def text(self) -> str:
        """A line for each candidate."""
        return "\n".join(f"{c.name}: {c.log_p:.3f} +- {c.stderr:.3f}" for c in self.candidates)


class Found(NamedTuple):
    """A fitted model of rows."""

    model: Any
    posterior: Any
    choice: Choice
    run: Run


def fit_table(x: Any, *, schema: Schema | None, candidates: Any, key: int) -> Found:
    """Fits the one candidate that is named.

    Raises:
        UsageError: An unknown candidate.
    """
    names = (candidates,) if isinstance(candidates, str) else tuple(candidates or ("gaussian",))
    for name in names:
        if name not in ("gaussian", "mixture", "ppca", "deep"):
            raise unknown("a candidate", name, ("gaussian", "mixture", "ppca", "deep"))
    x = np.asarray(x)
    if schema is not None and any(len(column.levels) > 2 for column in schema.columns):
        x = x.astype(np.float32)
        ds = Dataset(
            "t", x, x, x, (x.shape[1],), "real", "", "", columns=schema.names, schema=schema
        )
        start = autoencoder(ds, likelihood="columns", latent=2, hidden=(16,), key=key)
        run = fit(*start, x, objective="iwae(k=5)", epochs=20, key=key, progress=False)
    else:
        held = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
        count = 1 if "gaussian" in names else 2
        start = gaussian_mixture(held, components=min(count, len(x)), key=key)
        run = em(start, x, iterations=30).as_run()
    log_p = score(run.model, run.posterior, x, blame=[], k=100, progress=False).log_p
    stderr = float(np.std(log_p) / np.sqrt(len(x)))
    only = Candidate(names[0], "stand-in", float(np.mean(log_p)), stderr, 0.0, 0.0, 1.0, 0.0)
    return Found(run.model, run.posterior, Choice((only,), names[0]), run)
