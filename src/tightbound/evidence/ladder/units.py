"""One datum's log p(x, z) as a density of one vector u, in units of its own.

z = centre + factor u, laid flat; the density counts the Jacobian, and its integral over u is p(x).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.distributions import AbstractExplicit, NoPrior
from tightbound.distributions.contracts import prior_given
from tightbound.models.model import Model
from tightbound.models.shapes import like_z
from tightbound.models.target import Density, Target


class Units(eqx.Module):
    """The map between u and z of one datum, and the model that says what z is."""

    model: Model
    x: One
    centre: Float[Array, " d"]
    factor: Float[Array, "d d"]
    inverse: Float[Array, "d d"]
    log_volume: Float[Array, ""]

    @staticmethod
    def of(model: Model, x: One, centre: Any, factor: Any) -> "Units":
        """Units from float64 arrays on the host."""
        arrays = (centre, factor, np.linalg.inv(factor), np.linalg.slogdet(factor)[1])
        return Units(model, x, *(jnp.asarray(a, jnp.float32) for a in arrays))

    @property
    def dim(self) -> int:
        """Length of u."""
        return self.centre.shape[0]

    def z(self, u: Float[Array, " d"]) -> Any:
        """What u stands for, in the shapes of the model's z."""
        shapes = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, u.dtype), like_z(self.model))
        return ravel_pytree(shapes)[1](self.centre + self.factor @ u)

    def u(self, z: Any) -> Float[Array, " d"]:
        """The vector that stands for z."""
        return self.inverse @ (ravel_pytree(z)[0] - self.centre)

    def log_density(self, u: Float[Array, " d"]) -> Float[Array, ""]:
        """Log p(x, z) of u in nats, with the Jacobian."""
        return self.model.log_joint(self.x, self.z(u)) + self.log_volume

    def log_likelihood(self, u: Float[Array, " d"]) -> Float[Array, ""]:
        """Log p(x|z) of u in nats."""
        return self.model.log_likelihood(self.x, self.z(u))


class PriorInUnits(AbstractExplicit):
    """The model's prior as a law of u."""

    units: Units

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw."""
        del given
        units = self.units
        prior = units.model.prior
        return units.u(prior.sample(prior_given(prior, units.x), key=key))

    def log_prob(self, value: Float[Array, " d"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        del given
        units = self.units
        return units.model.log_prior(units.x, units.z(value)) + units.log_volume


class Whitened(Target):
    """p(x, z) of one datum as a target on R^d; its prior is the model's, if that can be drawn."""

    def __init__(self, units: Units) -> None:
        """Takes the density in these units."""
        drawn = "samples" in units.model.prior.offers
        self.prior = PriorInUnits(units) if drawn else NoPrior(units.dim)
        self.likelihood = Density(units.log_likelihood if drawn else units.log_density)
