"""The Langevin-Stein discrepancy of q and the posterior, from scores and draws.

Reference: Ranganath, Altosaar, Tran & Blei 2016, arXiv 1610.09033 (the operator and the game); Hu,
Chen, Sun, Bai, Ye & Cheng 2018, arXiv 1806.03353 (test functions of bounded mean square).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.models.standardization import inside
from tightbound.networks import flat
from tightbound.objectives.contract import Params
from tightbound.objectives.implicit.terms.abstract import AbstractTerm, Batch, Sizes, seen


class Stein(AbstractTerm):
    """Minus the discrepancy 2 E_q[O f] - E_q |f / s|^2, by the best of the network's functions.

    Test functions are f(x, z) = s h(x, (z - c) / s) with a network h and q's own mean c and
    standard deviations s, so that the units of z do not matter.
    """

    hidden: tuple[int, ...] = eqx.field(static=True)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The network h, zero everywhere, as it is where q is the posterior."""
        network = sizes.network(self.hidden, sizes.z, key, z=sizes.z)
        return eqx.tree_at(lambda n: n.head.weight, network, replace_fn=jnp.zeros_like)

    def operator(
        self,
        aux: Any,
        params: Params,
        x: Float[Array, "*item"],
        z: Any,
        centre: Float[Array, " z"],
        scale: Float[Array, " z"],
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """D log p(x, z) . f + div f, with the mean zero under p(z|x), and |f / s|^2."""
        h = lambda u: aux(seen(inside(params.model, x)), u)  # noqa: E731
        u = (flat(z) - centre) / scale
        value = h(u)
        # f is s h, and d u / d z is 1 / s: its divergence is that of h in u.
        applied = flat(score(params, x, z)) @ (scale * value) + jnp.trace(jax.jacfwd(h)(u))
        return applied, jnp.sum(value**2)

    def loss(self, aux: Any, params: Params, batch: Batch) -> Float[Array, ""]:
        """Minus the discrepancy."""
        return -jnp.mean(self._discrepancy(aux, params, batch))

    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """Minus the discrepancy; the model does not move."""
        arrays, static = eqx.partition(params.model, eqx.is_inexact_array)
        model = eqx.combine(jax.lax.stop_gradient(arrays), static)
        return -self._discrepancy(aux, params._replace(model=model), batch)

    def _discrepancy(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        def each(x: Any, z: Any, centre: Any, scale: Any) -> Float[Array, ""]:
            applied, square = self.operator(aux, params, x, z, centre, scale)
            return 2 * applied - square

        return jax.vmap(each)(batch.x, batch.z, batch.centre, batch.scale)


def score(params: Params, x: Float[Array, "*item"], z: Any) -> Any:
    """The gradient of log p(x, z) with respect to z; a prior may have a score alone."""
    prior = params.model.prior
    of_likelihood = jax.grad(lambda z: params.model.log_likelihood(x, z))(z)
    if "density" in prior.offers:
        of_prior = jax.grad(lambda z: params.model.log_prior(x, z))(z)
    else:
        of_prior = prior.score(z, None)
    return jax.tree.map(jnp.add, of_likelihood, of_prior)
