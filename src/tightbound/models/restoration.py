"""The restoration of values that went through a known linear degradation.

Sonderby et al. 2016, arXiv 1610.04490, section 3.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key, stream
from tightbound.data import DataLike, as_table, as_values
from tightbound.distributions.restoration import (
    BlockMeans,
    Degradation,
    Empirical,
    LinearMap,
    Projected,
)
from tightbound.models.model import Model
from tightbound.networks import Fixed, Images, Joined

CHANNELS = 64
"""Of each size within a network that restores images."""


def restoration(
    clean: DataLike,
    matrix: DataLike | None = None,
    *,
    factor: int | None = None,
    hidden: Sequence[int] | None = None,
    activation: str = "silu",
    key: int | PRNGKeyArray = 0,
) -> tuple[Model, Projected]:
    """Builds the model x = A z and a posterior that restores z from x, for `amortized_map`.

    Args:
        clean: Values of the prior, of shape (m, d); with `factor` images of shape (m, h, w) or
            (m, h, w, c).
        matrix: The degradation A of shape (n, d).
        factor: In its place: of images the means of squares of so many pixels a side are seen, 2,
            4, 8 or another power of 2. Networks are then convolutions.
        hidden: Widths of the hidden layers of the restoring network, 128 and 128 if left out; of
            images channels of its sizes, from the whole image's half on, 64 if left out.
        activation: Name of their activation.
        key: Seed or key of the initialisation.

    Returns:
        `(model, posterior)`: train on degraded values of shape (., n), which
        `model.likelihood.degrade` makes of a clean row. Every restored z has A z = x, whatever the
        network.

    Raises:
        UsageError: Values that are not finite, a matrix of another width, sides that the factor
            does not divide, or both or neither of matrix and factor.
    """
    if (matrix is None) == (factor is None):
        raise UsageError("expected one of matrix= and factor=")
    key = stream(as_key(key), "restoration")
    if factor is not None:
        return _of_images(clean, factor, hidden, activation, key)
    clean = as_table(clean, "the clean values")
    a = as_table(matrix, "the matrix of the degradation")
    if a.shape[1] != clean.shape[1]:
        raise UsageError(
            f"expected a matrix of shape (n, {clean.shape[1]}), one column for each of the clean "
            f"values, got {a.shape}"
        )
    widths = (128, 128) if hidden is None else tuple(hidden)
    network = Joined.glorot(a.shape[0], widths, a.shape[1], activation=activation, key=key)
    inverse = np.linalg.pinv(np.asarray(a, np.float64)).astype(np.float32)
    degrade = LinearMap(Fixed.of(a), Fixed.of(inverse))
    model = Model(Empirical(Fixed.of(clean)), Degradation(degrade))
    return model, Projected(network, degrade)


def _of_images(
    clean: DataLike, factor: int, hidden: Sequence[int] | None, activation: str, key: PRNGKeyArray
) -> tuple[Model, Projected]:
    """A network that doubles what it is given as often as the image was halved."""
    values = as_values(clean, "the clean images").x
    images = Images.of(values.shape[1:], None, activation)
    (factor,) = at_least(2, factor=factor)
    halvings = round(math.log2(factor))
    height, width, channels = images.shape
    if 2**halvings != factor or height % factor or width % factor:
        raise UsageError(
            f"expected a factor of 2, 4, 8, ... that divides both sides, {height} and {width}, "
            f"got {factor}"
        )
    within = (CHANNELS,) * halvings if hidden is None else tuple(hidden)
    if len(within) != halvings:
        raise UsageError(f"expected hidden of {halvings} entries for factor={factor}, got {within}")
    doubling = Images(images.shape, within, activation, maps=channels)
    n_in = images.size // factor**2
    network: Any = doubling.decoder(n_in, images.size, inside=False, key=key)
    degrade = BlockMeans(images.shape, factor)
    table = as_table(values.reshape(len(values), -1), "the clean images")
    model = Model(Empirical(Fixed.of(table)), Degradation(degrade))
    return model, Projected(network, degrade)
