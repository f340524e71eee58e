"""What a fitted model shows: samples, reconstructions and the manifold of two latent dimensions."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound import data
from tightbound.compilation import jit
from tightbound.config import Config
from tightbound.data.binarise import evaluated_key
from tightbound.digests.arrays import write_arrays
from tightbound.distributions import StandardNormal
from tightbound.errors import at_least
from tightbound.evidence.densities import with_density
from tightbound.items import Data, One, with_holes
from tightbound.models.source import as_source
from tightbound.randomness import as_key, item_keys, stream
from tightbound.runs.folder import open_run
from tightbound.runs.source import load_scored
from tightbound.training import Run

PICTURES = 100
PAIRS = 20
GRID = 20


def write_pictures(
    directory: Path, run: Run, ds: data.Dataset, config: Config, weights: str
) -> None:
    """Samples, reconstructions and, for two latent dimensions, the manifold of replica 0."""
    test = as_source(run.model, ds.test, "the test data", config.binarize)
    originals = test.seen(np.arange(len(test))[:PAIRS], key=evaluated_key(config.key)).data
    arrays = {
        "samples": sample_means(run, PICTURES, config.key),
        "originals": np.asarray(with_holes(originals)),
        "reconstructions": reconstruct(run, originals),
    }
    if config.sizes()["latent"] == 2 and isinstance(run.model.prior, StandardNormal):
        arrays["manifold"] = manifold(run, GRID)
    write_arrays(directory / "pictures.safetensors", "pictures", arrays, {"weights": weights})


def sample_means(run: Run, n: int, key: int) -> Float[np.ndarray, "n d"]:
    """Means of p(x|z) at n draws of the prior."""
    return np.concatenate(list(sample_chunks(run, n, key, chunk=n)))


def sample_chunks(
    run: Run, n: int, key: int, *, chunk: int
) -> Iterator[Float[np.ndarray, "chunk d"]]:
    """Means of p(x|z) at n draws of the prior, a chunk at a time.

    Each draw has a key of its own, by its number: apart from rounding, the size of the chunks
    changes nothing.
    """

    @jit
    def means(keys: Array) -> Array:
        def one(key: Array) -> Array:
            return run.model.likelihood.mean(run.model.prior.sample(None, key=key))

        return jax.vmap(one)(keys)

    drawn = stream(as_key(key), "pictures.samples")
    for start in range(0, n, chunk):
        # The last chunk is as long as the others, so that one program serves them all.
        numbers = jnp.int32(start) + jnp.arange(min(chunk, n), dtype=jnp.int32)
        yield np.asarray(means(item_keys(drawn, numbers)))[: n - start]


def reconstruct(run: Run, x: Data) -> Float[np.ndarray, "n d"]:
    """Means of p(x|z) at the mean of q(z|x), or of its draws where it has no density.

    Missing values are reconstructed as the others are.
    """
    posterior = with_density(run.posterior, run.model, 0, "reconstruction")

    def one(x: One) -> Array:
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


def reconstruct_data(
    directory: Path, name: str, *, limit: int | None = None
) -> tuple[Float[np.ndarray, "n d"], float]:
    """Reconstructs the test part of a named set, or all rows of a file: row i of row i.

    Args:
        directory: The run's folder.
        name: The set or file.
        limit: Only the first so many.

    Returns:
        The reconstructions, and their mean squared error per value that is not missing.

    Raises:
        UsageError: As for `open_run` and `load_scored`.
    """
    if limit is not None:
        at_least(1, limit=limit)
    opened = open_run(directory)
    config, run = opened.config, opened.run
    x = load_scored(directory, opened, name).first(limit).x
    source = as_source(run.model, x, name, config.binarize)
    values = source.seen(key=evaluated_key(config.key)).data
    means = reconstruct(run, values)
    return means, float(np.nanmean((means - np.asarray(with_holes(values))) ** 2))
