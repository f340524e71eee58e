"""The records of a fitted run: the model, what it shows, and what is said of it."""

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from tightbound import data
from tightbound.core.digests.record import write_record
from tightbound.models import plug_in
from tightbound.models.standardization import columns, standardization
from tightbound.objectives import AbstractObjective, Params
from tightbound.recipes.settings import Config
from tightbound.runs.calibration import write_calibration
from tightbound.runs.folder import MODEL, RUN
from tightbound.runs.images import write_pictures
from tightbound.runs.question import clear_unfinished
from tightbound.runs.source import part_digests
from tightbound.runs.tabulated import write_table_record
from tightbound.runs.units import write_units
from tightbound.training import Run, save

PACKAGES = ("tightbound", "jax", "equinox", "optax", "numpyro", "numpy")


def write_records(
    directory: Path,
    run: Run,
    ds: data.Dataset,
    config: Config,
    began: float,
    *,
    bound: dict[str, Any],
    objective: AbstractObjective | None = None,
    choice: dict[str, Any] | None = None,
) -> None:
    """The model and what is said about it; `run.json` comes last and says that all is there.

    Args:
        directory: The run's folder, which is held.
        run: The fitted replicas.
        ds: Their data.
        config: Their settings.
        began: When the fit began, by `time.perf_counter`.
        bound: What the numbers of the epochs are: kind, unit and k.
        objective: What was fitted with, where there may be classifiers in it.
        choice: Where the model was chosen among several: what each was worth.
    """
    weights = save(directory / MODEL, run)
    seconds = time.perf_counter() - began
    clear_unfinished(directory, weights)
    if run.posterior is not None:
        write_units(directory, run, ds, config, weights)
    write_pictures(directory, run, ds, config, weights)
    if ds.schema is not None and ds.columns and len(ds.test):
        write_table_record(directory, run, ds, config.key, weights)
    if objective is not None:
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
        "posterior": None if run.posterior is None else type(run.posterior).__name__,
        "bound": bound,
        **({} if choice is None else {"choice": choice}),
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
