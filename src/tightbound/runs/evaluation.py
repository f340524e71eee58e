"""Judging the fitted replicas of a run: log-likelihood on one part of its data, as a record."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.core.budget import as_budget
from tightbound.core.digests.arrays import read_arrays, write_arrays
from tightbound.core.digests.record import entry, finite
from tightbound.core.errors import Interrupted, UsageError, at_least
from tightbound.core.files import clear_torn, is_file
from tightbound.core.locks import Folder
from tightbound.evidence import Estimate, evaluate
from tightbound.models import plug_in
from tightbound.models.source import as_source
from tightbound.runs.baselines import baselines_record, gaussian_baselines
from tightbound.runs.folder import EVALUATION, Opened, open_run, refuse_draws
from tightbound.runs.question import Question, question
from tightbound.runs.record import evaluation_record, per_datum, shared_error
from tightbound.runs.source import (
    FILE,
    PARTS,
    Scored,
    load_part,
    load_scored,
    part_digest,
    schema_of,
)
from tightbound.tasks.marginals import has_mask

NO_GAUSSIAN = "columns of levels have probabilities, with which no Gaussian's density compares"
OF_THE_MASK = "log p(x_observed, mask) is of the mask too, of which a Gaussian says nothing"
COUNTED = "the density of a Gaussian at a whole number stands for the mass that a count has there"


class Answer(NamedTuple):
    """One evaluation of a run."""

    record: dict[str, Any]
    """What was asked, and the numbers."""
    path: Path
    """The file that holds it, with the numbers of each datum."""
    known: bool
    """Whether it had been there before."""


def evaluate_run(
    directory: Path,
    *,
    k: int | None = None,
    key: int = 0,
    split: str = "test",
    data: str | None = None,
    limit: int | None = None,
    scale: float | None = None,
    header: bool | None = None,
    temperatures: int | None = None,
    chains: int = 16,
    bounds_at: tuple[int, ...] = (),
    budget: int | str | None = None,
    overwrite: bool = False,
) -> Answer:
    """Evaluates every replica on data, the run's own or others, and writes one record of it.

    Without `k` and `temperatures` it goes the way of `tb.evaluate` without settings: importance
    sampling judges all data, and the ladder some of them.

    A run without a posterior is evaluated as it is, exactly: settings of draws are refused.

    A question that has been answered, of the same model, data and settings, is answered from its
    record; any other one becomes a record of its own. A call that was killed goes on where it was
    when it is made again.

    Args:
        directory: The run's folder.
        k: Draws per datum of importance sampling alone.
        key: Seed of draws and binarisation.
        split: "train", "validation" or "test" of the run's data.
        data: Other data in its place: a file, all rows in their order, or a named set (its test
            part). Their record never leads the report.
        limit: Only the first so many items.
        scale: What the numbers of a file are divided by, as for `tb.data.load`.
        header: Whether its first line names the columns, as there.
        temperatures: If given, annealed importance sampling estimates the same data too.
        chains: Chains of it for each datum.
        bounds_at: Numbers of draws up to k at which the record has the bound, beside the usual.
        budget: What the ladder may cost for each replica, as for `tb.evaluate`.
        overwrite: Evaluate anew even if there is a record.

    Raises:
        UsageError: No finished run, a damaged file, data that are not those of the fit, a folder
            in use, wrong sizes, or settings of draws where nothing is drawn.
        Interrupted: Ctrl-C; finished batches are kept.
    """
    if split not in PARTS:
        raise UsageError(f"expected a split out of {', '.join(PARTS)}, got {split!r}")
    if limit is not None:
        at_least(1, limit=limit)
    opened = open_run(directory)
    refuse_draws(opened, k=k, temperatures=temperatures, bounds_at=bounds_at, budget=budget)
    if data is None:
        scored = load_part(directory, opened, split).first(limit)
    else:
        found = load_scored(directory, opened, data, scale=scale, header=header)
        scored = found.first(limit)
    asked = question(
        split=split if data is None else FILE,
        k=k,
        key=key,
        temperatures=temperatures,
        chains=chains,
        binarize=opened.config.binarize,
        weights=opened.weights,
        data=part_digest(scored.x),
        bounds_at=bounds_at,
        budget=None if budget is None else as_budget(budget),
    )
    path = asked.path(directory)
    with Folder(directory) as folder:
        folder.hold()
        if is_file(path) and not overwrite:
            return Answer(_recorded(path, asked, scored.names), path, known=True)
        try:
            evaluations = _evaluations(directory, opened, asked, scored.x)
        except KeyboardInterrupt:
            kept = ""
            if opened.posterior is not None:
                kept = (
                    ", and batches that were finished some seconds before are kept in "
                    f"{path.parent}: the same command goes on with them"
                )
            raise Interrupted(f"interrupted; no record was written{kept}") from None
        numbers = evaluation_record(evaluations, asked.split)
        record = {
            "question": asked.as_json(),
            "epoch": opened.run.epochs_run,
            **numbers,
            **scored.about,
            **({"row_names": list(scored.names)} if scored.names else {}),
            **_baselines(directory, opened, scored, evaluations, numbers),
            "versions": {"tightbound": asked.tightbound, "jax": version("jax")},
        }
        record = finite(record)
        write_arrays(path, EVALUATION, per_datum(evaluations) | {"rows": scored.rows}, record)
        clear_torn(path.parent)
    return Answer(record, path, known=False)


def _baselines(
    directory: Path,
    opened: Opened,
    scored: Scored,
    estimates: Sequence[Estimate],
    numbers: dict[str, Any],
) -> dict[str, Any]:
    """What Gaussians make of the same rows, where log p of the model is a density too."""
    if scored.train is None:
        return {}
    if has_mask(plug_in(opened.run.model)):
        return {"no_baselines": OF_THE_MASK}
    schema = schema_of(directory, opened)
    notes = {}
    if opened.run.model.likelihood.support != "real":
        if schema is None:
            return {}
        levelled = [column.name for column in schema.columns if column.levelled]
        if levelled:
            named = ", ".join(map(repr, levelled[:3])) + (", ..." if len(levelled) > 3 else "")
            return {"no_baselines": f"{NO_GAUSSIAN} ({named})"}
        if any(column.kind == "count" for column in schema.columns):
            notes = {"about_baselines": COUNTED}
    each = np.stack([found.log_evidence for found in estimates]).astype(np.float64)
    of_rows = np.asarray(each.mean(axis=0))
    # A mixture takes seconds to fit, and is what a table is to be compared with.
    validation = None if schema is None else scored.validation
    rows = gaussian_baselines(scored.train, scored.x, validation, opened.config.key)
    shift = numbers["mean"] - float(of_rows.mean())
    return notes | baselines_record(of_rows, rows, shift, shared_error(estimates))


def _recorded(path: Path, asked: Question, names: tuple[str, ...]) -> dict[str, Any]:
    """The record of an answered question.

    Raises:
        UsageError: The file is damaged, or answers another question, or gives rows other names.
    """
    _, record = read_arrays(path, EVALUATION)
    if entry(record, path, "question", dict) != asked.as_json():
        raise UsageError(
            f"{path} answers another question than its name says: pass --overwrite to evaluate anew"
        )
    if tuple(record.get("row_names", ())) != names:
        raise UsageError(
            f"{path} is about the same values with other names of its rows: pass --overwrite to "
            "evaluate anew"
        )
    return record


def _evaluations(
    directory: Path, opened: Opened, asked: Question, x: Float[np.ndarray, "n d"]
) -> Sequence[Estimate]:
    """One evaluation for each replica."""
    data = as_source(plug_in(opened.run.model), x, "the data to evaluate", asked.binarize)
    if opened.posterior is None:
        models = [plug_in(parts.model) for parts in opened.run.replicas]
        return [evaluate(model, None, data, key=asked.key) for model in models]
    return [
        evaluate(
            plug_in(parts.model),
            parts.posterior,
            data,
            **asked.settings(),
            resume=asked.unfinished(directory, number),
        )
        for number, parts in enumerate(opened.run.replicas)
    ]
