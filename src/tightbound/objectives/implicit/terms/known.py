"""Log-densities that are known."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.objectives.contract import Params
from tightbound.objectives.implicit.terms.abstract import AbstractTerm, Batch


class Exact(AbstractTerm):
    """log p(x|z) or log p(z) itself; of a prior with a score alone, that."""

    of: str = eqx.field(static=True)

    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """The log-density in nats."""
        if self.of == "likelihood":
            return jax.vmap(params.model.log_likelihood)(batch.x, batch.z)
        prior = params.model.prior
        if "density" in prior.offers:
            return jax.vmap(params.model.log_prior)(batch.x, batch.z)
        score = jax.vmap(lambda z: prior.score(z, None))(batch.z)
        return jnp.sum(jax.lax.stop_gradient(score) * batch.z, axis=1)
