"""Small autoencoders of a table, as candidates beside mixtures.

Where all columns are real numbers they begin as probabilistic PCA, a linear decoder of one
variance (Tipping & Bishop 1999, JRSS B 61(3), section 3.2):
hidden units beside the latent ones learn what that leaves. They are fitted by IWAE without the rows
of one fold, which say when to stop and judge them.
"""

import time
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.errors import NonFiniteError
from tightbound.core.streams import streams
from tightbound.data import Dataset, Schema
from tightbound.evidence import evaluate
from tightbound.models import Model, autoencoder
from tightbound.networks import MLP, Beside
from tightbound.training import Run, fit

SIZES = {"small": (2, 32), "large": (8, 128)}
"""Most latent units, and hidden ones."""
STEPS = 3000
BATCH = 128
RATE = 2e-3
K = 1000
"""Draws of z by which held-out rows are judged."""


class Deep(NamedTuple):
    """An autoencoder, and what it says of held-out rows."""

    run: Run
    log_p: Float[np.ndarray, " n"]
    """NaN of rows that it was fitted to."""
    seconds: float


def deep(
    x: Float[np.ndarray, "n d"],
    schema: Schema | None,
    held: Any,
    size: str,
    *,
    directions: Float[np.ndarray, "d d"] | None,
    key: Array,
) -> Deep:
    """Fits an autoencoder of one of the `SIZES`.

    Args:
        x: The table, NaN where values are missing.
        schema: What the columns are; None of real numbers.
        held: Which rows it is judged by.
        size: "small" or "large".
        directions: The covariance of the standardised columns, for a start as PCA; or None.
        key: Of first weights, order and draws.
    """
    began = time.perf_counter()
    most, hidden = SIZES[size]
    d = x.shape[1]
    latent = max(1, min(most, d // 2))
    of_weights, of_encoder, of_fit, of_judging = streams(
        key, "deep.weights", "deep.networks", "deep.fit", "deep.judging"
    )
    rows = x[~held]
    names = () if schema is None else schema.names
    table = Dataset(
        "table", rows, x[held], rows[:0], (d,), "real", "", "unverified", columns=names,
        schema=schema,
    )  # fmt: skip
    model, posterior = autoencoder(
        table,
        latent=latent,
        hidden=(hidden,),
        likelihood="gaussian_column" if schema is None else "columns",
        activation="silu",
        decoder=Beside(MLP.glorot(latent, (hidden,), activation="silu", key=of_encoder)),
        key=of_weights,
    )
    if directions is not None:
        model = _as_pca(model, directions, latent)
    batch = min(BATCH, max(10, len(rows) // 4), len(rows))
    epochs = int(np.clip(STEPS * batch / len(rows), 10, 600))
    run = fit(
        model,
        posterior,
        rows,
        objective="iwae(k=8)",
        optimizer=f"adam(learning_rate={RATE})",
        batch_size=batch,
        epochs=epochs,
        validation=x[held],
        early_stopping=max(5, epochs // 8),
        key=of_fit,
        progress=False,
    )
    log_p = np.full(len(x), np.nan)
    found = evaluate(run.model, run.posterior, x[held], k=K, key=of_judging, progress=False)
    log_p[held] = found.log_evidence
    if not np.isfinite(found.log_evidence).all():
        raise NonFiniteError("log p(x) of held-out rows is not finite")
    return Deep(run, log_p, time.perf_counter() - began)


def _as_pca(model: Model, covariance: Float[np.ndarray, "d d"], latent: int) -> Model:
    """The model whose decoder is W z, with the noise that W leaves."""
    values, vectors = np.linalg.eigh(covariance)
    rest = values[:-latent] if latent < len(values) else values[:1]
    noise = max(float(np.mean(rest)), 1e-3)
    lead = np.sqrt(np.maximum(values[-latent:] - noise, 1e-6))
    weights = (vectors[:, -latent:] * lead).T
    head = model.likelihood.head
    start = jnp.zeros_like(head.weight).at[:latent].set(weights.astype(np.float32))
    own = np.maximum(np.diag(covariance) - np.sum(weights**2, axis=0), noise / 10)
    return eqx.tree_at(
        lambda model: (model.likelihood.head.weight, model.likelihood.laws[0].log_ratio),
        model,
        (start, jnp.asarray(0.5 * np.log(own), jnp.float32)),
    )
