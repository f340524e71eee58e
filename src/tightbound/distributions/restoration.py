"""Conditionals for the restoration of degraded values: x = A z exactly, z from a set of clean ones.

Sonderby et al. 2016, arXiv 1610.04490: the likelihood is a point mass, which a projection enforces.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.distributions.abstract import AbstractConditional

# Arrays of NumPy are constants of a model: JAX's would be parameters, and trained.


class Empirical(AbstractConditional):
    """A prior known by its draws alone: the rows of an array, each as likely."""

    values: Float[np.ndarray, "m d"]

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One row."""
        del given
        return jax.numpy.asarray(self.values)[jax.random.randint(key, (), 0, len(self.values))]


class Degradation(AbstractConditional):
    """The point mass at x = A z."""

    matrix: Float[np.ndarray, "n d"]

    def sample(self, given: Float[Array, " d"], *, key: PRNGKeyArray) -> Float[Array, " n"]:
        """The degraded value; nothing is drawn."""
        del key
        return jax.numpy.asarray(self.matrix) @ given


class Projected(AbstractConditional):
    """The point mass at z = (I - A^+ A) f(x) + A^+ x, for which A z = x whatever the network f."""

    network: Callable[[Float[Array, " n"]], Float[Array, " d"]]
    matrix: Float[np.ndarray, "n d"]
    inverse: Float[np.ndarray, "d n"]
    """The pseudo-inverse A^+."""

    def sample(self, given: Float[Array, " n"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """The restored value; nothing is drawn."""
        del key
        proposed = self.network(given)
        short = given - jax.numpy.asarray(self.matrix) @ proposed
        return proposed + jax.numpy.asarray(self.inverse) @ short
