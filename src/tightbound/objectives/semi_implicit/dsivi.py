"""Doubly semi-implicit variational inference: prior and posterior are mixtures over noise.

Formula: log p(x|z) + log (1/K_2) sum_k p(z|c^k) - log (1/(K_1+1)) sum_{k=0..K_1} q(z|e^k, x)
Direction: lower (of the ELBO of the two mixtures, and so of log p(x)).
Reference: Molchanov et al. 2019, arXiv 1810.02789 (the sandwich bound).
Bias: fresh noise c underestimates log p(z), and the noise behind z among the e overestimates
log q(z|x), in the mean; both vanish as K_1 and K_2 grow. The gradient is the total derivative of
what is reported.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items, One
from tightbound.core.streams import stream
from tightbound.distributions.components import fresh_noise, log_components, log_mean_exp
from tightbound.objectives.contract import (
    About,
    Params,
    Requires,
    Step,
    differentiated_bound,
)
from tightbound.objectives.semi_implicit.mixtures import (
    AbstractSemiImplicitObjective,
    draw,
    log_h_with_own,
)

NEEDS = Requires(("mixture",), ("density",), ("mixture",))


class DSIVI(AbstractSemiImplicitObjective):
    """The lower end of the sandwich, with fresh noise for the prior."""

    k: int = eqx.field(static=True)
    prior_k: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"dsivi(k={self.k}, prior_k={self.prior_k}, samples={self.samples})"

    @property
    def requires(self) -> Requires:
        """The density of the likelihood, and explicit layers of prior and posterior."""
        return NEEDS

    def check(self, params: Params) -> None:
        """Needs two mixtures on the same support, with differentiable draws of the posterior."""
        super().check(params)
        prior, posterior = params.model.prior.support, params.posterior.support
        if prior != posterior:
            raise UsageError(
                f"{self.description} takes log p(z) at draws of the posterior: expected both on "
                f"the same support, got {posterior} for the posterior and {prior} for the prior"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum in nats."""
        prior = params.model.prior

        def one(x: One, key: PRNGKeyArray) -> Float[Array, ""]:
            draws = draw(params.posterior, x, key, self.samples, self.k)
            noise = fresh_noise(prior, None, stream(key, "dsivi.prior"), self.prior_k)
            log_prior = jax.vmap(lambda z: log_mean_exp(log_components(prior, z, noise, None)))
            log_lik = jax.vmap(params.model.log_likelihood, in_axes=(None, 0))(x, draws.z)
            log_h = log_h_with_own(params.posterior, draws, x)
            return jnp.mean(log_lik + log_prior(draws.z) - log_h)

        return jax.vmap(one)(items.data, keys)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean bound, and the bound per datum in nats."""
        return differentiated_bound(self, params, items, keys), None


ABOUT = About(example={"k": 4, "prior_k": 4}, requires=NEEDS)


def dsivi(k: int, prior_k: int, samples: int = 1) -> DSIVI:
    """The ELBO of a semi-implicit posterior under a semi-implicit prior; nats, lower bound.

    The prior is a `SemiImplicit` that is given nothing. Its noise, and that of the posterior, is
    shared by the draws of a datum. Fragile where the explicit layer of the prior is narrow: none
    of its `prior_k` components may then be near a draw of the posterior, and the bound falls by
    many nats; both must be raised until the bound no longer rises.

    Args:
        k: Fresh noises of the posterior, beside that which made z.
        prior_k: Fresh noises of the prior.
        samples: Draws of z per datum.

    Raises:
        UsageError: k < 0, prior_k < 1 or samples < 1.
    """
    at_least(0, k=k)
    at_least(1, prior_k=prior_k, samples=samples)
    return DSIVI(k, prior_k, samples)
