"""What a fitted model shows: samples, reconstructions and the manifold of two latent dimensions."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound import data
from tightbound.compilation import jit
from tightbound.config import Config
from tightbound.data.arrays import save_arrays
from tightbound.distributions import StandardNormal
from tightbound.errors import UsageError
from tightbound.evidence.densities import with_density
from tightbound.randomness import as_key
from tightbound.runs.folder import open_run, write_npy
from tightbound.runs.seen import as_seen
from tightbound.training import Run

PICTURES = 100
PAIRS = 20
GRID = 20


def write_pictures(directory: Path, run: Run, ds: data.Dataset, config: Config) -> None:
    """Samples, reconstructions and, for two latent dimensions, the manifold of replica 0."""
    originals = as_seen(run, config, ds.test, "the test data", first=PAIRS)
    arrays = {
        "samples": sample_means(run, PICTURES, config.key),
        "originals": np.asarray(originals),
        "reconstructions": reconstruct(run, originals),
    }
    if config.sizes()["latent"] == 2 and isinstance(run.model.prior, StandardNormal):
        arrays["manifold"] = manifold(run, GRID)
    save_arrays(directory / "pictures.npz", arrays)


def sample_means(run: Run, n: int, key: int) -> Float[np.ndarray, "n d"]:
    """Means of p(x|z) at n draws of the prior."""

    def one(key: Array) -> Array:
        return run.model.likelihood.mean(run.model.prior.sample(None, key=key))

    return np.asarray(jit(jax.vmap(one))(jax.random.split(as_key(key), n)))


def reconstruct(run: Run, x: Float[Array, "n d"]) -> Float[np.ndarray, "n d"]:
    """Means of p(x|z) at the mean of q(z|x), or of its draws where it has no density."""
    posterior = with_density(run.posterior, run.model, 0, "reconstruction")

    def one(x: Array) -> Array:
        return run.model.likelihood.mean(posterior.mean(x))

    return np.asarray(jit(jax.vmap(one))(x))


def manifold(run: Run, grid: int) -> Float[np.ndarray, "cells d"]:
    """Means of p(x|z) on a grid of the unit square through the inverse normal CDF (AEVB fig. 4).

    Rows run from the top, where the second coordinate is largest.
    """
    u = (jnp.arange(grid, dtype=jnp.float32) + 0.5) / grid
    z = jax.scipy.special.ndtri(u)
    second, first = jnp.meshgrid(z[::-1], z, indexing="ij")
    points = jnp.stack([first.ravel(), second.ravel()], axis=1)
    return np.asarray(jax.vmap(run.model.likelihood.mean)(points))


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
    values = as_seen(run, config, x, name)
    means = reconstruct(run, values)
    write_npy(path, means)
    return float(np.mean((means - np.asarray(values)) ** 2)), len(x)
