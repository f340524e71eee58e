"""Conditionals for the restoration of degraded values: x = A z exactly, z from a set of clean ones.

A is linear, and `back` its pseudo-inverse A^+, by which what x does not tell of z is left alone.

Sonderby et al. 2016, arXiv 1610.04490: the likelihood is a point mass, which a projection enforces.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.distributions.contracts import AbstractConditional
from tightbound.networks import Fixed


class LinearMap(eqx.Module):
    """A degradation by a matrix."""

    matrix: Fixed
    inverse: Fixed

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, " n"]:
        """A z."""
        return self.matrix.values @ z

    def back(self, x: Float[Array, " n"]) -> Float[Array, " d"]:
        """A^+ x."""
        return self.inverse.values @ x


class BlockMeans(eqx.Module):
    """Of an image the means of its squares of `factor` x `factor` pixels."""

    shape: tuple[int, int, int] = eqx.field(static=True)
    """Height, width and channels."""
    factor: int = eqx.field(static=True)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, " n"]:
        """A z."""
        return jnp.mean(self.squares(z), axis=0)

    def back(self, x: Float[Array, " n"]) -> Float[Array, " d"]:
        """A^+ x: each mean at all pixels of its square."""
        return self.joined(jnp.broadcast_to(x, (self.factor**2, *x.shape)))

    def squares(self, z: Float[Array, " d"]) -> Float[Array, "pixels n"]:
        """The pixels of each square."""
        (height, width, channels), f = self.shape, self.factor
        cut = z.reshape(height // f, f, width // f, f, channels)
        return jnp.transpose(cut, (1, 3, 0, 2, 4)).reshape(f**2, -1)

    def joined(self, squares: Float[Array, "pixels n"]) -> Float[Array, " d"]:
        """The image of these squares."""
        (height, width, channels), f = self.shape, self.factor
        cut = squares.reshape(f, f, height // f, width // f, channels)
        return jnp.ravel(jnp.transpose(cut, (2, 0, 3, 1, 4)))


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

    degrade: LinearMap | BlockMeans

    def sample(self, given: Float[Array, " d"], *, key: PRNGKeyArray) -> Float[Array, " n"]:
        """The degraded value; nothing is drawn."""
        del key
        return self.degrade(given)


class Projected(AbstractConditional):
    """The point mass at z = (I - A^+ A) f(x) + A^+ x, for which A z = x whatever the network f."""

    network: Callable[[Float[Array, " n"]], Float[Array, " d"]]
    degrade: LinearMap | BlockMeans

    def sample(self, given: Float[Array, " n"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """The restored value; nothing is drawn."""
        del key
        proposed = self.network(given)
        return proposed + self.degrade.back(given - self.degrade(proposed))
