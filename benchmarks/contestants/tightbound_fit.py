"""tightbound through its front door: `tb.fit` and `tb.evaluate`."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import tightbound as tb
from benchmarks.contestants import Block, Done
from benchmarks.sizes import Sizes, binary_data, first_convolutions, first_weights
from tightbound.objectives.contract import AbstractObjective

T = TypeVar("T")


def train(sizes: Sizes, variant: str) -> Block:
    return _training(sizes, *_start(sizes), tb.objectives.iwae(k=sizes.k, gradient=variant))


def images(sizes: Sizes, variant: str) -> Block:
    del variant
    x = binary_data(sizes).reshape(-1, sizes.side, sizes.side)
    model, posterior = tb.autoencoder(
        x,
        latent=sizes.image_latent,
        network="conv",
        hidden=tuple(sizes.channels),
        likelihood="bernoulli",
    )
    encoder, decoder = first_convolutions(sizes)
    model = _with_weights(model, decoder, np.zeros(sizes.observed, np.int32))
    return _training(sizes, model, _with_weights(posterior, encoder), x, tb.objectives.elbo())


def _training(
    sizes: Sizes,
    model: tb.Model,
    posterior: tb.AbstractExplicit,
    x: np.ndarray,
    objective: AbstractObjective,
) -> Block:
    current = [(model, posterior)]

    def block(n: int) -> Done:
        # Each call of `fit` compiles anew, inside its first epoch: that epoch is not counted.
        epochs = -(-n // sizes.batches)
        run = tb.fit(
            *current[0],
            x,
            objective=objective,
            optimizer=optax.adam(sizes.learning_rate),
            batch_size=sizes.batch,
            epochs=1 + epochs,
            progress=False,
        )
        current[0] = run.model, run.posterior
        seconds = sum(record.seconds for record in run.history[1:])
        return Done(epochs * sizes.batches, run.history[0].train_bound[0], seconds)

    return block


def likelihood(sizes: Sizes, variant: str) -> Block:
    del variant
    model, posterior, x = _start(sizes)

    def block(n: int) -> Done:
        ev = tb.evaluate(model, posterior, x[:n], k=sizes.draws, progress=False)
        return Done(n, ev.mean)

    return block


def _start(sizes: Sizes) -> tuple[tb.Model, tb.AbstractExplicit, np.ndarray]:
    x = binary_data(sizes)
    model, posterior = tb.autoencoder(
        x, latent=sizes.latent, hidden=(sizes.hidden, sizes.hidden), likelihood="bernoulli"
    )
    encoder, decoder = first_weights(sizes)
    (heads, biases), trunk = encoder[-1], encoder[:-1]
    mean = heads[:, : sizes.latent], biases[: sizes.latent]
    log_variance = heads[:, sizes.latent :], biases[sizes.latent :]
    return _with_weights(model, decoder), _with_weights(posterior, [*trunk, mean, log_variance]), x


def _with_weights(module: T, layers: list, *fixed: np.ndarray) -> T:
    """The module with these weights and biases, and fixed numbers behind, in place of its own."""
    arrays, rest = eqx.partition(module, eqx.is_array)
    old, structure = jax.tree.flatten(arrays)
    new = [jnp.asarray(array) for layer in (*layers, fixed) for array in layer]
    if [leaf.shape for leaf in old] != [leaf.shape for leaf in new]:
        raise ValueError(f"expected leaves of shapes {[leaf.shape for leaf in old]}")
    return eqx.combine(jax.tree.unflatten(structure, new), rest)
