"""Conditionals for the restoration of degraded values: x = A z exactly, z from a set of clean ones.

Sonderby et al. 2016, arXiv 1610.04490: the likelihood is a point mass, which a projection enforces.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.distributions.contracts import AbstractConditional
from tightbound.networks import Fixed


class Empirical(AbstractConditional):
    """A prior known by its draws alone: the rows of an array, each as likely."""

    rows: Fixed

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One row."""
        del given
        values = self.rows.values
        return values[jax.random.randint(key, (), 0, values.shape[0])]


class Degradation(AbstractConditional):
    """The point mass at x = A z."""

    matrix: Fixed

    def sample(self, given: Float[Array, " d"], *, key: PRNGKeyArray) -> Float[Array, " n"]:
        """The degraded value; nothing is drawn."""
        del key
        return self.matrix.values @ given


class Projected(AbstractConditional):
    """The point mass at z = (I - A^+ A) f(x) + A^+ x, for which A z = x whatever the network f."""

    network: Callable[[Float[Array, " n"]], Float[Array, " d"]]
    matrix: Fixed
    inverse: Fixed
    """The pseudo-inverse A^+."""

    def sample(self, given: Float[Array, " n"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """The restored value; nothing is drawn."""
        del key
        proposed = self.network(given)
        return proposed + self.inverse.values @ (given - self.matrix.values @ proposed)
