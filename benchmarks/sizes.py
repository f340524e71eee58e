"""What every contestant is given: the same sizes, the same data, the same first weights."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Layers = list[tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, " columns"]]]

COUPLING = 1e-12
"""Couples each round to the one before, so that nothing can be hoisted out of the loop, and is so
small that numbers stay where they are."""


@dataclass(frozen=True)
class Sizes:
    """The model 784-200-200-50 of Burda et al. and how it is trained and scored."""

    observed: int = 784
    hidden: int = 200
    latent: int = 50
    k: int = 50
    batch: int = 100
    items: int = 1000
    draws: int = 5000
    learning_rate: float = 1e-3
    threads: int = 2

    @property
    def batches(self) -> int:
        """Minibatches in one pass over the data."""
        return self.items // self.batch


def binary_data(sizes: Sizes) -> Float32[np.ndarray, "items observed"]:
    """Zeros and ones drawn around ten random prototypes: no file is needed."""
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(size=(10, sizes.observed))
    chosen = prototypes[rng.integers(10, size=sizes.items)]
    return (rng.uniform(size=chosen.shape) < chosen).astype(np.float32)


def first_weights(sizes: Sizes) -> tuple[Layers, Layers]:
    """Encoder (mean and log variance side by side in its last layer) and decoder."""
    rng = np.random.default_rng(1)
    hidden = (sizes.hidden, sizes.hidden)
    encoder = (sizes.observed, *hidden, 2 * sizes.latent)
    decoder = (sizes.latent, *hidden, sizes.observed)
    return _glorot(rng, encoder), _glorot(rng, decoder)


def _glorot(rng: np.random.Generator, widths: tuple[int, ...]) -> Layers:
    layers = []
    for rows, columns in zip(widths[:-1], widths[1:], strict=True):
        limit = np.sqrt(6.0 / (rows + columns))
        weight = rng.uniform(-limit, limit, size=(rows, columns)).astype(np.float32)
        layers.append((weight, np.zeros(columns, np.float32)))
    # A small last layer puts the posterior near the prior, so that the estimates of all
    # contestants agree to a fraction of a nat if they estimate the same thing.
    layers[-1] = (0.1 * layers[-1][0], layers[-1][1])
    return layers
