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
    side: int = 28
    """Of the square images that the observed values are."""
    channels: tuple[int, ...] = (32, 64)
    """Of the convolutional networks, at half and at a quarter of the side."""
    image_latent: int = 32

    @property
    def batches(self) -> int:
        """Minibatches in one pass over the data."""
        return self.items // self.batch

    @property
    def least_side(self) -> int:
        """Of the smallest maps."""
        return self.side // 2 ** len(self.channels)


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


def first_convolutions(sizes: Sizes) -> tuple[Layers, Layers]:
    """Encoder and decoder of images: matrices of (3 x 3 taps x channels in, channels out).

    At each size of the encoder a convolution of squares of 2 x 2 pixels and the two of a residual
    block, behind them mean and log scale; in the decoder a dense layer, and at each size the two of
    a block and the one whose output is squares of 2 x 2 pixels.
    """
    rng = np.random.default_rng(1)
    widths, features = (1, *sizes.channels), sizes.channels[-1] * sizes.least_side**2
    encoder, decoder = [], _glorot(rng, (sizes.image_latent, features))
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        shapes = (4 * before, after), (after, after), (after, after)
        encoder += [_glorot(rng, (9 * n_in, n_out))[0] for n_in, n_out in shapes]
    encoder += [_glorot(rng, (features, sizes.image_latent))[0] for _ in range(2)]
    for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
        shapes = (before, before), (before, before), (before, 4 * after)
        decoder += [_glorot(rng, (9 * n_in, n_out))[0] for n_in, n_out in shapes]
    return encoder, decoder


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
