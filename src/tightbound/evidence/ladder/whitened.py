"""One datum's log p(x, z) as a density of a vector u, in units of its own.

z = centre + scale u, so that u is of order one where z starts; the density counts the Jacobian, and
its integral is p(x).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.items import One, condition
from tightbound.core.streams import first_keys, item_keys
from tightbound.distributions import AbstractExplicit, NoPrior
from tightbound.models.model import Model
from tightbound.models.shapes import like_z
from tightbound.models.target import Target

FIRST = 256
"""Draws of the prior behind centre and scale."""
SCALES = (0.3, 1.0, 3.0, 10.0)
"""Standard deviations of the starts about 0 where there is no prior to draw from."""
LEAST = 1e-6


class Whitened(Target):
    """p(x, centre + scale u) as a target on R^d, with the prior as its prior if that is drawn."""

    model: Model
    x: One
    centre: Float[Array, " d"]
    scale: Float[Array, " d"]

    def __init__(self, model: Model, x: One, centre: Any, scale: Any) -> None:
        """Takes the units as they are given."""
        self.model, self.x = model, x
        self.centre = jnp.asarray(centre, jnp.float32)
        self.scale = jnp.asarray(scale, jnp.float32)
        self.prior, self.likelihood = NoPrior(len(centre)), None

    @property
    def drawn(self) -> bool:
        """Whether the model's prior can be drawn from."""
        return "samples" in self.model.prior.offers

    def z(self, u: Float[Array, " d"]) -> Any:
        """What u stands for, in the shapes of the model's z."""
        shapes = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, u.dtype), like_z(self.model))
        return ravel_pytree(shapes)[1](self.centre + self.scale * u)

    def log_prior(self, x: Any, z: Float[Array, " d"]) -> Float[Array, ""]:
        """Log-density of u by the prior, or 0 where there is none to draw from."""
        del x
        if not self.drawn:
            return jnp.zeros([], z.dtype)
        return self.model.log_prior(self.x, self.z(z)) + jnp.sum(jnp.log(self.scale))

    def log_likelihood(self, x: Any, z: Float[Array, " d"]) -> Float[Array, ""]:
        """What the prior leaves of log p(x, z)."""
        del x
        if self.drawn:
            return self.model.log_likelihood(self.x, self.z(z))
        return self.model.log_joint(self.x, self.z(z)) + jnp.sum(jnp.log(self.scale))
