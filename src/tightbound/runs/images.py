"""What a fitted model shows: samples, reconstructions and the manifold of two latent dimensions."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound import data
from tightbound.core.compilation import jit
from tightbound.core.digests.arrays import write_arrays
from tightbound.core.errors import at_least
from tightbound.core.items import Data, One, with_holes
from tightbound.core.streams import as_key, item_keys, stream
from tightbound.data.binarise import evaluated_key
from tightbound.distributions import StandardNormal
from tightbound.distributions.steps import live
from tightbound.evidence.densities import with_density
from tightbound.models import plug_in
from tightbound.models.finite import responsibilities
from tightbound.models.source import as_source
from tightbound.models.standardization import view
from tightbound.networks import Standardization
from tightbound.recipes.settings import Config
from tightbound.runs.folder import ItemsOf, open_run
from tightbound.runs.source import load_scored, load_source, schema_of, written_items
from tightbound.tasks import decode
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
    flat = config.candidates is None and config.sizes()["latent"] == 2
    if flat and isinstance(run.model.prior, StandardNormal):
        arrays["manifold"] = manifold(run, GRID)
    write_arrays(directory / "pictures.safetensors", "pictures", arrays, {"weights": weights})


def sample_means(run: Run, n: int, key: int) -> Float[np.ndarray, "n *item"]:
    """As `sample_chunks`, all together."""
    return np.concatenate(list(sample_chunks(run, n, key, chunk=n)))


def sample_chunks(
    run: Run, n: int, key: int, *, chunk: int
) -> Iterator[Float[np.ndarray, "chunk *item"]]:
    """Means of p(x|z) at n draws of the prior, a chunk at a time.

    Of a run without a posterior it is draws of p(x): where z takes finitely many values, there are
    only so many means.

    Each draw has a key of its own, by its number: apart from rounding, the size of the chunks
    changes nothing.
    """

    @jit
    def means(keys: Array) -> Array:
        def one(key: Array) -> Array:
            if run.posterior is None:
                return run.model.sample(key)[0]
            return plug_in(run.model).sample_mean(key)

        return jax.vmap(one)(keys)

    drawn = stream(as_key(key), "pictures.samples")
    for start in range(0, n, chunk):
        # The last chunk is as long as the others, so that one program serves them all.
        numbers = jnp.int32(start) + jnp.arange(min(chunk, n), dtype=jnp.int32)
        yield np.asarray(means(item_keys(drawn, numbers)))[: n - start]


def reconstruct(run: Run, x: Data) -> Float[np.ndarray, "n *item"]:
    """Means of p(x|z) at the mean of q(z|x), or of its draws where it has no density.

    Without a posterior z is summed over: the mean of p(x'|z) over p(z|x), of levels the most
    probable one. Missing values are reconstructed as the others are.
    """
    if run.posterior is None:
        shares = jit(lambda x: responsibilities(run.model, x))(x)
        return decode(run.model, np.asarray(shares)).x
    posterior = with_density(run.posterior, run.model, 0, "reconstruction")

    model = plug_in(run.model)

    def one(x: One) -> Array:
        mean, alive = model.likelihood.mean(model.given(x, posterior.mean(x))), None
        if model.prior.sees_data:
            alive = live(x)  # behind the end of a sequence there is nothing to reconstruct
        return mean if alive is None else jnp.where(alive[:, None], mean, jnp.nan)

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


class Reconstructed(NamedTuple):
    """Reconstructions of data, and how far they are from them."""

    means: Float[np.ndarray, "n *item"]
    """Means of p(x|z), in the data's units."""
    items: ItemsOf
    """What one of them is, for files."""
    error: float
    """The mean over all values that are not missing of what `measure` names."""
    measure: str
    """"mean_squared_error"; or "mean_squared_error_standardised", of differences divided by the
    standard deviation of their column in the training data, where the model has such units, or has
    no posterior (levels are left out then); or "mean_squared_error_features", of what networks see
    of a table (`Features`)."""


def reconstruct_data(
    directory: Path,
    name: str,
    *,
    limit: int | None = None,
    scale: float | None = None,
    header: bool | None = None,
) -> Reconstructed:
    """Reconstructs the test part of a named set, or all rows of a file: row i of row i.

    Args:
        directory: The run's folder.
        name: The set or file.
        limit: Only the first so many.
        scale: What the numbers of a file are divided by, as for `tb.data.load`.
        header: Whether its first line names the columns, as there.

    Raises:
        UsageError: As for `open_run` and `load_scored`.
    """
    if limit is not None:
        at_least(1, limit=limit)
    opened = open_run(directory)
    config, run = opened.config, opened.run
    found = load_scored(directory, opened, name, scale=scale, header=header)
    x = found.first(limit).x
    source = as_source(run.model, x, name, config.binarize)
    values = source.seen(key=evaluated_key(config.key)).data
    means = reconstruct(run, values)
    units, measure = view(run.model), "mean_squared_error"
    told, truth = jnp.asarray(means), with_holes(values)
    if isinstance(units, Standardization):
        told, truth, measure = units(told), units(truth), f"{measure}_standardised"
    elif units is not None:
        hidden = jnp.isnan(truth)[..., units.columns]
        n = hidden.shape[-1]
        told, seen = units(told)[..., :n], units(truth)[..., :n]
        truth, measure = jnp.where(hidden, jnp.nan, seen), f"{measure}_features"
    elif run.posterior is None and (schema := schema_of(directory, opened)) is not None:
        amounts = [place for place, column in enumerate(schema.columns) if not column.levelled]
        spread = np.nanstd(load_source(directory, opened).train[:, amounts], axis=0)
        spread = np.where(spread > 0, spread, 1)[None, :]
        told, truth = told[:, amounts] / spread, truth[:, amounts] / spread
        measure = f"{measure}_standardised"
    apart = np.asarray(told) - np.asarray(truth)
    items = written_items(directory, opened)
    return Reconstructed(means, items, float(np.nanmean(apart**2)), measure)
