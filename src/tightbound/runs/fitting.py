"""Fitting as configured into a run's folder."""

import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path

import jax

from tightbound import data
from tightbound.config import Config
from tightbound.errors import UsageError
from tightbound.files import write_atomic
from tightbound.models import autoencoder, bayesian
from tightbound.objectives import AbstractObjective, Parts, full_vb, map_estimate
from tightbound.objectives.catalogue import build, parse
from tightbound.optimizers import by_name, default_rate, schedule_by_name
from tightbound.runs.calibration import write_calibration
from tightbound.runs.evaluation import write_units
from tightbound.runs.folder import write_json
from tightbound.runs.pictures import write_pictures
from tightbound.training import Run, fit, save

PACKAGES = ("tightbound", "jax", "equinox", "optax", "numpyro", "numpy")


def fit_run(config: Config, directory: Path, *, resume: bool) -> Run:
    """Fits as configured into `directory`, and writes all records but the evaluation."""
    ds = data.load(config.data, split=config.split)
    objective = _objective(config, len(ds.train))
    model, posterior = autoencoder(ds, **config.sizes(), key=config.key)
    if config.bayesian is not None:
        model = bayesian(model, scale=config.bayesian)
    if directory.exists() and not resume:
        raise UsageError(
            f"{directory} already exists: pass --resume to go on with that run, "
            "or --name for another folder"
        )
    steps = max(1, len(ds.train) // config.batch_size)
    highest = config.learning_rate or default_rate(config.optimizer)
    rate = schedule_by_name(config.schedule, highest, steps_per_epoch=steps, epochs=config.epochs)
    optimizer = by_name(config.optimizer, rate, batch_size=config.batch_size)
    began = time.perf_counter()
    write_atomic(directory / "config.toml", config.to_toml())
    try:
        run = fit(
            model,
            posterior,
            ds.train,
            objective=objective,
            optimizer=optimizer,
            batch_size=config.batch_size,
            epochs=config.epochs,
            seeds=config.seeds,
            key=config.key,
            validation=ds.validation,
            binarize=config.binarize,
            early_stopping=config.early_stopping,
            average=config.average,
            directory=directory,
            resume=resume,
        )
    except UsageError:
        if not resume:
            shutil.rmtree(directory)
        raise
    save(directory / "model.safetensors", run)
    record = {
        "name": directory.name,
        "data": {
            "name": ds.name,
            "split": ds.split,
            "units": ds.units,
            "checksum": ds.checksum,
            "n_train": len(ds.train),
            "n_validation": len(ds.validation),
            "n_test": len(ds.test),
            "shape": list(ds.shape),
            "binarisation": run.binarisation,
            "notes": "; ".join(ds.notes),
        },
        "parameters": count_parameters(run.replicas[0]),
        "seeds": config.seeds,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "seconds_total": time.perf_counter() - began,
        "seconds_checkpoints": run.seconds_checkpoints,
        "objective": run.objective,
        "bound": {
            "kind": objective.kind,
            "k": objective.draws,
            "unit": "nats",
        },
    }
    write_json(directory / "run.json", record)
    write_units(directory, run, ds, config)
    write_pictures(directory, run, ds, config)
    write_calibration(directory, run, objective, ds, config)
    return run


def _objective(config: Config, n: int) -> AbstractObjective:
    """The objective as configured, with what is said about the parameters of n data."""
    objective = _of_data(config)
    if config.weight_prior is not None and config.bayesian is not None:
        raise UsageError("weight_prior and bayesian are two priors on the parameters: leave one")
    if config.weight_prior is not None:
        return map_estimate(objective, n=n, scale=config.weight_prior)
    return objective if config.bayesian is None else full_vb(objective, n=n)


def _of_data(config: Config) -> AbstractObjective:
    """The objective by its name and flags, or by a call."""
    options = config.objective_options()
    if "(" not in config.objective:
        return build(config.objective, **options)
    if options:
        raise UsageError(
            f"{config.objective} names its own options: leave out {', '.join(options)}"
        )
    return parse(config.objective)


def count_parameters(parts: Parts) -> int:
    """The number of trained numbers of model and posterior."""
    leaves = jax.tree.leaves(parts)
    return sum(leaf.size for leaf in leaves if isinstance(leaf, jax.Array))
