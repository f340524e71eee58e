"""Fitting as configured into a run's folder."""

import time
from pathlib import Path

from tightbound.core.errors import Interrupted
from tightbound.core.locks import SETTINGS, Folder, check_unused
from tightbound.models.source import as_source
from tightbound.recipes.build import build
from tightbound.recipes.labels import with_few_labels
from tightbound.recipes.settings import Config, read_settings
from tightbound.runs.choosing import choose_run
from tightbound.runs.source import load
from tightbound.runs.writing import write_records
from tightbound.training import Run, fit


def fit_run(config: Config, directory: Path, *, resume: bool) -> Run:
    """Fits as configured into `directory`, and writes all records but the evaluations.

    A folder without a finished epoch, as a process leaves that was ended early, is taken as if it
    were not there; `resume` goes on with one that has settings. Settings with `candidates` go the
    way of `choose_run`.

    Raises:
        UsageError: Wrong settings or data, a folder that holds another run or is in use, or a disk
            that cannot be written to; what was there is as it was.
        Interrupted: Ctrl-C; finished epochs are kept.
    """
    config.check()
    if config.candidates is not None:
        return choose_run(config, directory, resume=resume)
    if resume:
        read_settings(directory)  # which refuses what is damaged, also where others replace it
    else:
        check_unused(directory)
    ds = load(config)
    if config.labels is not None:
        ds = with_few_labels(ds, config.labels, config.key)
    recipe = build(config, ds)
    began = time.perf_counter()
    with Folder(directory, settings=config.to_toml()) as folder:
        try:
            train, validation = (
                as_source(
                    recipe.model,
                    getattr(ds, part),
                    f"the {words} data",
                    config.binarize,
                    labels=ds.labels.get(part),
                )
                for part, words in (("train", "training"), ("validation", "validation"))
            )
            run = fit(
                recipe.model,
                recipe.posterior,
                train,
                objective=recipe.objective,
                optimizer=recipe.optimizer,
                batch_size=recipe.batch_size,
                epochs=config.epochs,
                seeds=config.seeds,
                key=config.key,
                validation=validation,
                early_stopping=config.early_stopping,
                average=config.average,
                directory=folder,
                resume=resume,
            )
            objective = recipe.objective
            bound = {"kind": objective.kind, "k": objective.draws, "unit": "nats"}
            write_records(directory, run, ds, config, began, bound=bound, objective=objective)
        except KeyboardInterrupt:
            raise Interrupted(_interrupted(directory)) from None
    return run


def _interrupted(directory: Path) -> str:
    """What an interrupted fit says."""
    if not (directory / SETTINGS).exists():
        return "interrupted; nothing was written, and the same command begins again"
    return (
        f"interrupted; {directory} holds the epochs up to its last checkpoint: "
        f"`tightbound fit --resume --name {directory.name}` goes on"
    )
