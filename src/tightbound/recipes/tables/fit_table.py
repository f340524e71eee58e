"""A table fitted without settings, by what held-out rows say."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError, unknown
from tightbound.core.progress import Progress
from tightbound.core.streams import as_key, stream
from tightbound.data import DataLike, Dataset, Schema, as_values, check_values
from tightbound.data.binarise import Binarisation
from tightbound.models import Model
from tightbound.models.table_mixture import table_component
from tightbound.objectives import Params
from tightbound.recipes.tables.choice import Choice, candidate
from tightbound.recipes.tables.mixtures import (
    Found,
    as_table,
    fitted,
    ladder,
    low_ranks,
    prepared,
    try_one,
    union,
)
from tightbound.training import Run
from tightbound.training.history import EpochRecord, History

CANDIDATES = ("gaussian", "ppca", "mixture", "deep")
LEAST_WEIGHT = 0.1
"""Share below which a candidate stays out of the model."""
LEAST_ROWS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class TableFit:
    """A model of a table, and how it was chosen."""

    model: Model
    posterior: Any
    """Q(z|x); None where log p(x) is a sum over components."""
    choice: Choice
    run: Run
    """The same as `tb.fit` returns, for `tb.save`."""


def fit_table(
    data: Dataset | DataLike,
    *,
    schema: Schema | None = None,
    candidates: Sequence[str] | str | None = None,
    key: int | PRNGKeyArray = 0,
    progress: bool | None = None,
) -> TableFit:
    """Fits a table without settings: tries models, and keeps what held-out rows say is best.

    Candidates are one Gaussian ("gaussian"), probabilistic PCA ("ppca"), mixtures of Gaussians with
    tables of levels ("mixture") and small autoencoders ("deep"). Each is fitted without some rows
    and judged by log p of what is known of these. Gaussians and mixtures are combined by stacking,
    with five starts each; a deep model comes out where it is better than they are together.

    Args:
        data: A data set, of which the training part is used, or an array of shape (n, d), NaN where
            values are missing.
        schema: What the columns are; a data set has its own. Without one they are real numbers.
        candidates: What to try; all if left out.
        key: Seed or key of folds and starts.
        progress: Whether progress is shown on standard error; if that is a terminal, when left out.

    Raises:
        UsageError: Unknown candidates, fewer than 10 rows, a column without values or with one
            value alone, or values that are none of their column's kind.
    """
    asked = _asked(candidates)
    found = as_values(data.train if isinstance(data, Dataset) else data, "the training data")
    schema = data.schema if isinstance(data, Dataset) else schema
    if found.x.ndim != 2:
        raise UsageError(f"expected a table of shape (n, d), got shape {found.x.shape}")
    x = np.asarray(found.x, np.float32)
    if len(x) < LEAST_ROWS:
        raise UsageError(f"expected {LEAST_ROWS} rows or more to hold some out, got {len(x)}")
    template = table_component(x, schema)
    check_values(x, template.likelihood.support, "the training data", found.columns, holes=True)
    root, began = as_key(key), time.perf_counter()
    with Progress("trying models", len(asked) + 4, shown=progress) as bar:
        search = prepared(template, x, stream(root, "fit_table"))
        one = Found("gaussian", 1, None, 0)
        try_one(search, "Gaussian", one, bar.advance)
        if "ppca" in asked:
            low_ranks(search, bar.advance)
        if "mixture" in asked:
            ladder(search, bar.advance)
    names = list(search.judged)
    if "gaussian" not in asked and len(names) > 1:
        names.remove("Gaussian")
        del search.judged["Gaussian"]
    shares = search.judged.stacked(names)
    kept = {name: share for name, share in shares.items() if share >= LEAST_WEIGHT}
    total = sum(kept.values())
    kept = {name: share / total for name, share in kept.items()}
    mixture = union([fitted(search, name) for name in kept], list(kept.values()))
    model = as_table(search, mixture)
    best = search.judged.best()
    told = [
        candidate(
            name,
            search.found[name].kind,
            search.judged,
            best,
            kept.get(name, 0.0),
            search.found[name].seconds,
        )
        for name in names
    ]
    told.sort(key=lambda of: -of.log_p)
    choice = Choice(candidates=tuple(told), chosen=" and ".join(kept))
    seconds = time.perf_counter() - began
    log_p = float(np.mean(search.judged[best][np.isfinite(search.judged[best])]))
    history = History([EpochRecord(1, 1, [log_p], None, seconds)])
    run = Run(
        model,
        None,
        history,
        [Params(model, None)],
        f"table(chosen={choice.chosen!r})",
        Binarisation("none").description,
        1,
        0.0,
    )
    return TableFit(model=model, posterior=None, choice=choice, run=run)


def _asked(candidates: Sequence[str] | str | None) -> tuple[str, ...]:
    """The candidates by name.

    Raises:
        UsageError: None, or one that is not known.
    """
    if candidates is None:
        return CANDIDATES
    asked = (candidates,) if isinstance(candidates, str) else tuple(candidates)
    if not asked:
        raise UsageError(f"expected candidates out of {', '.join(CANDIDATES)}, got none")
    for name in asked:
        if name not in CANDIDATES:
            raise unknown("candidate", name, CANDIDATES)
    return asked
