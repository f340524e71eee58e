"""The Langevin-Stein discrepancy of q and the posterior, from scores and draws.

Reference: Ranganath, Altosaar, Tran & Blei 2016, arXiv 1610.09033.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.errors import UsageError
from tightbound.networks import Joined
from tightbound.objectives.abstract import Parts
from tightbound.objectives.terms.abstract import AbstractTerm, Batch, Sizes, seen


class Stein(AbstractTerm):
    """Minus the squared Langevin-Stein discrepancy, by the best of the network's functions."""

    hidden: tuple[int, ...] = eqx.field(static=True)
    norm: float = eqx.field(static=True)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The test function, without its bound."""
        return Joined.glorot(sizes.x + sizes.z, self.hidden, sizes.z, activation="tanh", key=key)

    def function(self, aux: Any, x: Float[Array, " d"], z: Float[Array, " z"]) -> Any:
        """The test function f(x, z), shorter than `norm`."""
        h = aux(seen(x), z)
        return self.norm * h / jnp.sqrt(1 + jnp.sum(h**2))

    def operator(
        self, aux: Any, parts: Parts, x: Float[Array, " d"], z: Float[Array, " z"]
    ) -> Float[Array, ""]:
        """D log p(x, z) . f + div f, with the mean zero under p(z|x)."""
        f = lambda z: self.function(aux, x, z)  # noqa: E731
        return score(parts, x, z) @ f(z) + jnp.trace(jax.jacfwd(f)(z))

    def loss(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        """Minus the square, from two halves of the draws."""
        return -self._square(aux, parts, batch)

    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """Minus the square, the same for every datum."""
        params, static = eqx.partition(parts.model, eqx.is_inexact_array)
        model = eqx.combine(jax.lax.stop_gradient(params), static)
        square = self._square(aux, parts._replace(model=model), batch)
        return jnp.broadcast_to(-square, batch.x.shape[:1])

    def _square(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        n = batch.x.shape[0]
        if n < 2:
            raise UsageError("opvi multiplies means of two halves: expected batch_size >= 2, got 1")
        each = jax.vmap(lambda x, z: self.operator(aux, parts, x, z))(batch.x, batch.z)
        return jnp.mean(each[: n // 2]) * jnp.mean(each[n // 2 :])


def score(parts: Parts, x: Float[Array, " d"], z: Float[Array, " z"]) -> Float[Array, " z"]:
    """The gradient of log p(x, z) with respect to z; a prior may have a score alone."""
    prior, likelihood = parts.model.prior, parts.model.likelihood
    of_likelihood = jax.grad(lambda z: likelihood.log_prob(x, z))(z)
    if "density" in prior.offers:
        return of_likelihood + jax.grad(lambda z: prior.log_prob(z, None))(z)
    return of_likelihood + prior.score(z, None)
