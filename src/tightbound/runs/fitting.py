"""Fitting as configured into a run's folder."""

import platform
import time
from importlib.metadata import version
from pathlib import Path

import equinox as eqx
import jax

from tightbound import data
from tightbound.core.digests.record import write_record
from tightbound.core.errors import Interrupted
from tightbound.core.locks import SETTINGS, Folder, check_unused
from tightbound.models import plug_in
from tightbound.models.source import as_source
from tightbound.models.standardization import columns, standardization
from tightbound.objectives import AbstractObjective, Params
from tightbound.recipes.build import build
from tightbound.recipes.settings import Config, read_settings
from tightbound.runs.calibration import write_calibration
from tightbound.runs.folder import MODEL, RUN
from tightbound.runs.images import write_pictures
from tightbound.runs.question import clear_unfinished
from tightbound.runs.source import load, part_digests
from tightbound.runs.units import write_units
from tightbound.training import Run, fit, save

PACKAGES = ("tightbound", "jax", "equinox", "optax", "numpyro", "numpy")


def fit_run(config: Config, directory: Path, *, resume: bool) -> Run:
    """Fits as configured into `directory`, and writes all records but the evaluations.

    A folder without a finished epoch, as a process leaves that was ended early, is taken as if it
    were not there; `resume` goes on with one that has settings.

    Raises:
        UsageError: Wrong settings or data, a folder that holds another run or is in use, or a disk
            that cannot be written to; what was there is as it was.
        Interrupted: Ctrl-C; finished epochs are kept.
    """
    config.check()
    if resume:
        read_settings(directory)  # which refuses what is damaged, also where others replace it
    else:
        check_unused(directory)
    ds = load(config)
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
            _write_records(directory, run, ds, config, recipe.objective, began)
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


def _write_records(
    directory: Path,
    run: Run,
    ds: data.Dataset,
    config: Config,
    objective: AbstractObjective,
    began: float,
) -> None:
    """The model and what is said about it; `run.json` comes last and says that all is there."""
    weights = save(directory / MODEL, run)
    seconds = time.perf_counter() - began
    clear_unfinished(directory, weights)
    write_units(directory, run, ds, config, weights)
    write_pictures(directory, run, ds, config, weights)
    write_calibration(directory, run, objective, ds, config, weights)
    support = plug_in(run.model).likelihood.support
    record = {
        "name": directory.name,
        "weights": weights,
        "data": {
            "name": ds.name,
            "split": ds.split,
            "units": ds.units,
            "checksum": ds.checksum,
            "digests": part_digests(ds),
            "n_train": len(ds.train),
            "n_validation": len(ds.validation),
            "n_test": len(ds.test),
            "shape": list(ds.shape),
            "columns": list(ds.columns),
            "schema": None if ds.schema is None else ds.schema.to_entries(),
            # Of named sets every reader knows the units; of own data the fit did.
            "scale": ds.scale if ds.rows else None,
            "binarisation": run.binarisation,
            "notes": "; ".join((*ds.notes, *_standardised(run))),
        },
        "likelihood": {"support": str(support), "discrete": getattr(support, "discrete", False)},
        "parameters": count_parameters(run.replicas[0]),
        "seeds": config.seeds,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "seconds_total": seconds,
        "seconds_checkpoints": run.seconds_checkpoints,
        "objective": run.objective,
        "bound": {
            "kind": objective.kind,
            "k": objective.draws,
            "unit": "nats",
        },
    }
    write_record(directory / RUN, "run", record)


def _standardised(run: Run) -> tuple[str, ...]:
    """What a reader must know of the units that the networks see."""
    of = columns(run.model)
    if of is not None:
        return (
            *of.notes,
            "networks see features of the columns, by moments of the training part; all numbers "
            "are in the units of the data",
        )
    if standardization(run.model) is None:
        return ()
    return (
        "columns are standardised inside the model, by mean and standard deviation of the training "
        "part; all numbers are in the units of the data",
    )


def count_parameters(parts: Params) -> int:
    """The number of trained numbers of model and posterior."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(parts, eqx.is_inexact_array)))
