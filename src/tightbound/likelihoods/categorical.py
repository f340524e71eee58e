"""Categorical laws of columns with levels: one free number per level."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.supports import Support, levels
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import (
    AbstractUnivariate,
    Free,
    Part,
    Values,
    like,
    n_levels,
)
from tightbound.networks import Fixed


class CategoricalColumns(AbstractUnivariate):
    """Level k with probability softmax(log_share + a)_k; a are free numbers."""

    log_share: Fixed
    """Of shape (m, levels), of the training column."""

    @property
    def size(self) -> int:
        """One for each level."""
        return self.log_share.bits.shape[1]

    @property
    def levels(self) -> int:
        """Their number."""
        return self.log_share.bits.shape[1]

    @property
    def supports(self) -> tuple[Support, ...]:
        """Numbers of levels."""
        return (levels(self.levels),) * self.log_share.bits.shape[0]

    @property
    def sees(self) -> str:
        """One number per level."""
        return "levels"

    @property
    def centre_is(self) -> str:
        """The most probable level."""
        return "mode"

    def log_probs(self, free: Free) -> Float[Array, "m levels"]:
        """Log-mass of each level in nats."""
        return jax.nn.log_softmax(like(self.log_share, free) + free, axis=1)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        return at_level(self.log_probs(free), values)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """The number of a level, as floats."""
        return jax.random.categorical(key, self.log_probs(free), axis=1).astype(free.dtype)

    def mean(self, free: Free) -> Values:
        """The number of the most probable level."""
        return jnp.argmax(self.log_probs(free), axis=1).astype(free.dtype)


def at_level(log_probs: Float[Array, "m levels"], values: Values) -> Values:
    """The entry of each row at a level's number."""
    number = values.astype(jnp.int32)[:, None]
    return jnp.take_along_axis(log_probs, number, axis=1)[:, 0]


def shares(part: Part) -> Float[np.ndarray, "m levels"]:
    """Of each level among the known values, with half a value more in each.

    Raises:
        UsageError: Columns of which the number of levels is not known, or other values.
    """
    n = n_levels(part.columns[0], part.values[:, 0])
    part.check(levels(n))
    counts = np.stack([(part.values == k).sum(axis=0) for k in range(n)], axis=1) + 0.5
    return counts / counts.sum(axis=1, keepdims=True)


LIKELIHOODS = {
    "categorical": Likelihood(
        "numbers of levels without an order",
        univariate=lambda part: CategoricalColumns(Fixed.of(np.log(shares(part)))),
    ),
}
