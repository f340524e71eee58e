"""A table fitted without settings, by what held-out rows say."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.errors import NonFiniteError, UsageError, unknown
from tightbound.core.progress import Progress
from tightbound.core.streams import as_key, numbered, stream
from tightbound.data import DataLike, Dataset, Schema, as_values
from tightbound.data.binarise import Binarisation
from tightbound.models import Model, table_component
from tightbound.objectives import Params
from tightbound.recipes.candidates import CANDIDATES
from tightbound.recipes.tables.choice import Choice, candidate
from tightbound.recipes.tables.deep import SIZES, Deep, deep
from tightbound.recipes.tables.mixtures import (
    as_table,
    ladder,
    low_ranks,
    mean_log_p,
    together,
    try_one,
)
from tightbound.recipes.tables.search import Found, Search, prepared
from tightbound.training import Run
from tightbound.training.components import Mixture
from tightbound.training.history import EpochRecord, History

LEAST_WEIGHT = 0.1
"""Share below which a candidate stays out of the model."""
LEAST_JUDGING = 10
"""Held-out rows by which deep models can be told from others."""
LEAST_ROWS = 8
"""Rows without which nothing is fitted: some of them have to be held out."""


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
        UsageError: Unknown candidates, fewer than 8 rows, a column without values or with one
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
    root, began = as_key(key), time.perf_counter()
    with Progress("trying models", len(asked) + 4, shown=progress) as bar:
        search = prepared(template, x, stream(root, "fit_table"))
        gaussian = try_one(search, "gaussian", Found("gaussian", 1, None, 0), bar.advance)
        notes = _on_rows(search, len(x))
        if "ppca" in asked:
            low_ranks(search, gaussian, bar.advance)
        if "mixture" in asked and (left := ladder(search, bar.advance)):
            notes.append(f"{left} and larger ones were left out: they would have taken too long.")
        networks = {}
        judging = int(np.sum(search.folds == 0))
        if "deep" in asked and judging < LEAST_JUDGING and len(asked) > 1:
            notes.append(f"deep models were left out: {judging} held-out rows do not tell them.")
        elif "deep" in asked:
            networks, failed = _networks(search, x, schema, root, bar.advance)
            notes += failed
        if "gaussian" not in asked and len(search.judged) > 1:
            del search.judged["gaussian"]
        finite = [name for name in search.judged if name not in networks]
        kept = _kept(search.judged.stacked(finite)) if finite else {}
        best = _best(search, networks, kept)
        if best in networks:
            run = networks[best].run
            kept = {best: 1.0}
        else:
            run = _run(search, together(search, kept), " and ".join(kept), began)
    tried = {**search.found, **networks}
    top = search.judged.best()
    told = [
        candidate(
            name,
            tried[name].kind if name in search.found else "deep",
            search.judged,
            top,
            kept.get(name, 0.0),
            tried[name].seconds,
        )
        for name in search.judged
    ]
    told.sort(key=lambda of: -of.difference)
    choice = Choice(candidates=tuple(told), chosen=" and ".join(kept), notes=tuple(notes))
    return TableFit(model=run.model, posterior=run.posterior, choice=choice, run=run)


def _on_rows(search: Search, n: int) -> list[str]:
    """What is to be said where not all rows are used."""
    if search.n == n:
        return []
    return [
        f"Gaussians and mixtures were fitted to {search.n} of {n} rows, drawn at random; all are "
        f"judged by {int(np.sum(search.folds >= 0))} of these."
    ]


def _networks(
    search: Search,
    x: Float[np.ndarray, "n d"],
    schema: Schema | None,
    key: PRNGKeyArray,
    say: Callable[[str], None],
) -> tuple[dict[str, Deep], list[str]]:
    """Deep candidates by name, judged on the first fold; and what is to be said of failures."""
    found, notes = {}, []
    directions = None
    if schema is None:
        directions = np.asarray(search.template.likelihood.numbers.covariances()[0], np.float64)
    held = np.zeros(len(x), bool)
    held[search.rows[search.folds == 0]] = True
    for number, size in enumerate(SIZES):
        name = f"deep({size})"
        try:
            found[name] = deep(
                x,
                schema,
                held,
                size,
                directions=directions,
                key=numbered(stream(key, "fit_table.deep"), number),
            )
        except (NonFiniteError, UsageError) as error:
            # A column may have one value alone without the rows that are held out.
            notes.append(f"{name} was left out: {error}")
            continue
        search.judged[name] = found[name].log_p[search.rows]
        say(name)
    return found, notes


def _kept(shares: dict[str, float]) -> dict[str, float]:
    """The candidates whose share is worth their cost; the shares add up to 1 again."""
    kept = {name: share for name, share in shares.items() if share >= LEAST_WEIGHT}
    total = sum(kept.values())
    return {name: share / total for name, share in kept.items()}


def _best(search: Search, networks: dict[str, Deep], kept: dict[str, float]) -> str:
    """The deep model that is better than the mixtures together, if there is one; else ""."""
    if not kept:
        return search.judged.best()
    log_p = np.stack([search.judged[name] + np.log(share) for name, share in kept.items()])
    together = np.full(search.n, np.nan)
    judged = search.folds >= 0
    together[judged] = np.logaddexp.reduce(log_p[:, judged], axis=0)
    best, most = "", 0.0
    for name in networks:
        log_p = search.judged[name]
        both = np.isfinite(log_p) & np.isfinite(together)
        away = float(np.mean((log_p - together)[both]))
        if away > most:
            best, most = name, away
    return best


def _run(search: Search, mixture: Mixture, chosen: str, began: float) -> Run:
    """The mixtures as what `tb.fit` returns: one epoch, whose bound is the rows' own log p."""
    model, log_p = as_table(search, mixture), mean_log_p(search, mixture)
    seconds = time.perf_counter() - began
    return Run(
        model,
        None,
        History([EpochRecord(1, 1, [log_p], None, seconds)]),
        [Params(model, None)],
        f"table(chosen={chosen!r})",
        Binarisation("none").description,
        1,
        0.0,
    )


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
