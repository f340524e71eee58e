"""The run folder: what the command line writes, and how it is read back into a model."""

import io
import json
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound import data
from tightbound.config import Config, read_toml
from tightbound.data.binarise import resolve
from tightbound.distributions import StandardNormal
from tightbound.errors import UsageError
from tightbound.evidence import Evaluation, active_units, evaluate
from tightbound.evidence.active_units import THRESHOLD
from tightbound.files import write_atomic
from tightbound.models import autoencoder
from tightbound.objectives import AbstractObjective, Parts
from tightbound.objectives.catalogue import build, parse
from tightbound.optimizers import by_name, default_rate, schedule_by_name
from tightbound.randomness import as_key
from tightbound.training import Run, fit, load, save

PICTURES = 100
PAIRS = 20
GRID = 20
UNITS_ITEMS = 500
"""Training items for active units, as in the code of Burda et al. (2015)."""
PACKAGES = ("tightbound", "jax", "equinox", "optax", "numpyro", "numpy")


def fit_run(config: Config, directory: Path, *, resume: bool) -> Run:
    """Fits as configured into `directory`, and writes all records but the evaluation."""
    ds = data.load(config.data, split=config.split)
    objective = _objective(config)
    model, posterior = autoencoder(ds, **config.sizes(), key=config.key)
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
            "notes": ds.notes,
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
    return run


def _objective(config: Config) -> AbstractObjective:
    """The objective by its name and flags, or by a call."""
    options = config.objective_options()
    if "(" not in config.objective:
        return build(config.objective, **options)
    if options:
        raise UsageError(
            f"{config.objective} names its own options: leave out {', '.join(options)}"
        )
    return parse(config.objective)


def open_run(directory: Path) -> tuple[Config, Run]:
    """Reads a run folder's settings and fitted replicas.

    Raises:
        UsageError: No such run, or one that has not been finished.
    """
    if not (directory / "config.toml").is_file():
        raise UsageError(f"expected a run folder at {directory}, found no config.toml in it")
    if not (directory / "model.safetensors").is_file():
        raise UsageError(
            f"{directory} holds no fitted model yet: "
            f"finish it with `tightbound fit --resume --name {directory.name}`"
        )
    return Config(**read_toml(directory / "config.toml")), load(directory / "model.safetensors")


def count_parameters(parts: Parts) -> int:
    """The number of trained numbers of model and posterior."""
    leaves = jax.tree.leaves(parts)
    return sum(leaf.size for leaf in leaves if isinstance(leaf, jax.Array))


def evaluate_run(directory: Path, *, k: int, key: int = 0, split: str = "test") -> dict[str, Any]:
    """Evaluates every replica on one part of the run's data, and writes the records."""
    config, run = open_run(directory)
    ds = data.load(config.data, split=config.split)
    items = {"train": ds.train, "validation": ds.validation, "test": ds.test}
    if split not in items:
        raise UsageError(f"expected a split out of {', '.join(items)}, got {split!r}")
    evaluations = [
        evaluate(parts.model, parts.posterior, items[split], k=k, key=key, binarize=config.binarize)
        for parts in run.replicas
    ]
    record = evaluation_record(evaluations, split)
    arrays = {
        name: np.stack([getattr(ev, name) for ev in evaluations])
        for name in ("log_evidence", "stderr", "ess", "khat")
    }
    write_npz(directory / "evaluation.npz", arrays)
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
        half = 1.96 * np.hypot(first.stderr_data, first.stderr_draws)
        kind = "95 % over the data (normal)"
    worst = min(evaluations, key=lambda ev: ("use AIS", "raise k", "trust").index(ev.verdict))
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


def write_pictures(directory: Path, run: Run, ds: data.Dataset, config: Config) -> None:
    """Samples, reconstructions and, for two latent dimensions, the manifold of replica 0."""
    binarisation = resolve(config.binarize, run.model.likelihood.support, ds.test, "the test data")
    originals = binarisation(
        jnp.asarray(ds.test[:PAIRS]),
        jnp.arange(min(PAIRS, len(ds.test))),
        use=0,
        key=as_key(config.key),
    )
    arrays = {
        "samples": sample_means(run, PICTURES, config.key),
        "originals": np.asarray(originals),
        "reconstructions": reconstruct(run, originals),
    }
    if config.sizes()["latent"] == 2 and isinstance(run.model.prior, StandardNormal):
        arrays["manifold"] = manifold(run, GRID)
    write_npz(directory / "pictures.npz", arrays)


def sample_means(run: Run, n: int, key: int) -> Float[np.ndarray, "n d"]:
    """Means of p(x|z) at n draws of the prior."""

    def one(key: Array) -> Array:
        return run.model.likelihood.mean(run.model.prior.sample(None, key=key))

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(as_key(key), n)))


def reconstruct(run: Run, x: Float[Array, "n d"]) -> Float[np.ndarray, "n d"]:
    """Means of p(x|z) at the mean of q(z|x)."""

    def one(x: Array) -> Array:
        return run.model.likelihood.mean(run.posterior.mean(x))

    return np.asarray(jax.jit(jax.vmap(one))(x))


def manifold(run: Run, grid: int) -> Float[np.ndarray, "cells d"]:
    """Means of p(x|z) on a grid of the unit square through the inverse normal CDF (AEVB fig. 4).

    Rows run from the top, where the second coordinate is largest.
    """
    u = (jnp.arange(grid, dtype=jnp.float32) + 0.5) / grid
    z = jax.scipy.special.ndtri(u)
    second, first = jnp.meshgrid(z[::-1], z, indexing="ij")
    points = jnp.stack([first.ravel(), second.ravel()], axis=1)
    return np.asarray(jax.vmap(run.model.likelihood.mean)(points))


def write_json(path: Path, record: Any) -> None:
    """Writes JSON; numbers that are not finite become null."""
    write_atomic(path, json.dumps(_finite(record), indent=1, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays by name."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomic(path, buffer.getvalue())


def _finite(record: Any) -> Any:
    if isinstance(record, dict):
        return {name: _finite(value) for name, value in record.items()}
    if isinstance(record, list):
        return [_finite(value) for value in record]
    if isinstance(record, float) and not np.isfinite(record):
        return None
    return record


def write_npy(path: Path, array: Float[np.ndarray, "n d"]) -> None:
    """Writes one array."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(path, buffer.getvalue())


def reconstruct_data(directory: Path, name: str, path: Path) -> tuple[float, int]:
    """Reconstructs the test part of a named set, or all of a file, into a .npy file.

    Returns:
        The mean squared error per value, and the number of items.
    """
    config, run = open_run(directory)
    named = name in {entry.name for entry in data.names()}
    ds = data.load(name, split=config.split if name == config.data else "default")
    x = ds.test if named else np.concatenate([ds.train, ds.validation, ds.test])
    shape = json.loads((directory / "run.json").read_text())["data"]["shape"]
    if x.shape[1] != np.prod(shape):
        raise UsageError(f"expected items of shape {shape} like the run's, got {list(ds.shape)}")
    binarisation = resolve(config.binarize, run.model.likelihood.support, x, name)
    values = binarisation(jnp.asarray(x), jnp.arange(len(x)), use=0, key=as_key(config.key))
    means = reconstruct(run, values)
    write_npy(path, means)
    return float(np.mean((means - np.asarray(values)) ** 2)), len(x)
