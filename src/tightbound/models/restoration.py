"""The restoration of values that went through a known linear degradation.

Sonderby et al. 2016, arXiv 1610.04490, section 3.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import as_key, stream
from tightbound.data import DataLike, as_table
from tightbound.distributions.restoration import Degradation, Empirical, Projected
from tightbound.models.model import Model
from tightbound.networks import Fixed, Joined


def restoration(
    clean: DataLike,
    matrix: DataLike,
    *,
    hidden: Sequence[int] = (128, 128),
    activation: str = "silu",
    key: int | PRNGKeyArray = 0,
) -> tuple[Model, Projected]:
    """Builds the model x = A z and a posterior that restores z from x, for `amortized_map`.

    Args:
        clean: Values of the prior, of shape (m, d).
        matrix: The degradation A of shape (n, d), such as the means of blocks of pixels.
        hidden: Widths of the hidden layers of the restoring network.
        activation: Name of their activation.
        key: Seed or key of the initialisation.

    Returns:
        `(model, posterior)`: train on degraded values of shape (., n). Every restored z has
        A z = x, whatever the network.

    Raises:
        UsageError: Values that are not finite, or a matrix of another width.
    """
    clean = as_table(clean, "the clean values")
    a = as_table(matrix, "the matrix of the degradation")
    if a.shape[1] != clean.shape[1]:
        raise UsageError(
            f"expected a matrix of shape (n, {clean.shape[1]}), one column for each of the clean "
            f"values, got {a.shape}"
        )
    network = Joined.glorot(
        a.shape[0],
        tuple(hidden),
        a.shape[1],
        activation=activation,
        key=stream(as_key(key), "restoration"),
    )
    inverse = np.linalg.pinv(np.asarray(a, np.float64)).astype(np.float32)
    model = Model(Empirical(Fixed.of(clean)), Degradation(Fixed.of(a)))
    return model, Projected(network, Fixed.of(a), Fixed.of(inverse))
