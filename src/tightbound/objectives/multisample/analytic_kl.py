"""SGVB estimator B: the Kullback-Leibler divergence in closed form, the rest by draws.

Reference: Kingma & Welling 2013, arXiv 1312.6114, eq. 7 and 10.
Bias: none for the ELBO, which is below log p(x) by KL(q(z|x) || p(z|x)).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions import kl_divergence

from tightbound.core.errors import UsageError
from tightbound.core.items import Items, One
from tightbound.distributions import DiagonalNormal, StandardNormal
from tightbound.models.weights import sample, split_each
from tightbound.objectives.contract import AbstractObjective, Params, Step, differentiated_bound


class AnalyticKL(AbstractObjective):
    """-KL(q(z|x) || p(z)) + (1/L) sum_l log p(x|z_l), differentiated as it stands."""

    samples: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.samples

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"elbo(estimator='B', samples={self.samples})"

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs one layer with a closed form of the divergence."""
        q, p = params.posterior, params.model.prior
        if not (isinstance(q, DiagonalNormal) and isinstance(p, StandardNormal)):
            raise UsageError(
                "estimator B needs KL(q(z|x) || p(z)) in closed form: expected one stochastic "
                f"layer with normal q and p, got {type(q).__name__} and {type(p).__name__}; "
                "use estimator='A'"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum in nats."""

        def divergence(x: One) -> Float[Array, ""]:
            return kl_divergence(
                params.posterior.distribution(x), params.model.prior.distribution()
            )

        x = items.data
        z, _ = sample(params.posterior, x, split_each(keys, self.samples))
        log_likelihood = params.model.log_likelihood
        log_lik = jax.vmap(jax.vmap(log_likelihood, in_axes=(None, 0)))(x, z)
        return jnp.mean(log_lik - jax.vmap(divergence)(x)[:, None], axis=1)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean bound, and the bound per datum in nats."""
        return differentiated_bound(self, params, items, keys), None
