"""What laws of columns with levels have in common: all of it follows from the levels' masses."""

import abc

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.supports import levels
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, n_levels


class AbstractLevelled(AbstractUnivariate):
    """Laws of m columns with the same number of levels; values are numbers of levels, from 0."""

    @property
    def sees(self) -> str:
        """One number per level."""
        return "levels"

    @property
    def centre_is(self) -> str:
        """The most probable level."""
        return "mode"

    @abc.abstractmethod
    def log_probs(self, free: Free) -> Float[Array, "m levels"]:
        """Log-mass of each level in nats."""

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        number = values.astype(jnp.int32)[:, None]
        return jnp.take_along_axis(self.log_probs(free), number, axis=1)[:, 0]

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """The number of a level, as floats."""
        return jax.random.categorical(key, self.log_probs(free), axis=1).astype(free.dtype)

    def mean(self, free: Free) -> Values:
        """The number of the most probable level."""
        return jnp.argmax(self.log_probs(free), axis=1).astype(free.dtype)


def shares(part: Part) -> Float[np.ndarray, "m levels"]:
    """Of each level among the known values, with half a value more in each.

    Raises:
        UsageError: Columns of which the number of levels is not known, or other values.
    """
    n = n_levels(part.columns[0], part.values[:, 0])
    part.check(levels(n))
    counts = np.stack([(part.values == k).sum(axis=0) for k in range(n)], axis=1) + 0.5
    return counts / counts.sum(axis=1, keepdims=True)
