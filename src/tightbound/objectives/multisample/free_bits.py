"""The ELBO with a divergence for each group of latents that costs nothing below a floor.

Formula: (1/L) sum_l log p(x|z_l) - sum_g max(nats, mean over the minibatch of KL_g)
Direction: lower (the ELBO is reported).
Reference: Kingma et al. 2016, arXiv 1606.04934, appendix C.8 (free bits).
Bias: the gradient is not that of the ELBO while a group is below the floor: its divergence then has
none. The reported number is the ELBO itself.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items, One
from tightbound.distributions import Layered, TopDown
from tightbound.distributions.contracts import prior_given
from tightbound.models.weights import sample, split_each
from tightbound.objectives.contract import About, Params, Step, differentiated
from tightbound.objectives.multisample.reports_elbo import AbstractReportsELBO, plain_elbo


class FreeBits(AbstractReportsELBO):
    """The ELBO, trained with no reward for divergences below a floor."""

    nats: float = eqx.field(static=True)

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"free_bits(nats={self.nats}, samples={self.plain.k})"

    def check(self, params: Params) -> None:
        """Needs densities, differentiable draws, and groups: layers, or the units of one layer."""
        super().check(params)
        for part in (params.posterior, params.model.prior):
            if not part.independent and not isinstance(part, Layered | TopDown):
                raise UsageError(
                    "free_bits needs several layers, or one whose units are independent under q "
                    f"and under the prior, got {type(part).__name__}; use elbo or annealed"
                )

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients with the floor, and the ELBO per datum in nats."""
        x = items.data

        def values(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
            z, _ = sample(params.posterior, x, split_each(keys, self.plain.k))
            one = jax.vmap(lambda x, z: _terms(params, x, z), in_axes=(None, 0))
            log_lik, divergence = jax.vmap(one)(x, z)
            floored = jnp.maximum(jnp.mean(divergence, axis=(0, 1)), self.nats)
            log_lik = jnp.mean(log_lik, axis=1)
            return log_lik - jnp.sum(floored), log_lik - jnp.mean(jnp.sum(divergence, 2), 1)

        return differentiated(values, params), state


def _terms(params: Params, x: One, z: Any) -> tuple[Float[Array, ""], Float[Array, " g"]]:
    """Log p(x|z), and log q(z_g|.) - log p(z_g|.) of each group, in nats."""
    log_q = _by_group(params.posterior, z, x)
    log_p = _by_group(params.model.prior, z, prior_given(params.model.prior, x))
    return params.model.log_likelihood(x, z), log_q - log_p


def _by_group(part: Any, z: Any, given: Any) -> Float[Array, " g"]:
    if isinstance(part, Layered | TopDown):
        return jnp.stack(part.log_prob_by_layer(z, given))
    # The units of a Dirichlet, which depend on each other, are one group.
    return jnp.atleast_1d(part.log_prob_each(z, given))


ABOUT = About(example={"nats": 0.1})


def free_bits(nats: float = 0.1, samples: int = 1) -> FreeBits:
    """The ELBO in nats, a lower bound, trained so that groups of latents are used from the start.

    A group is a stochastic layer, or each unit where there is one layer. Its KL(q || p), a mean
    over the minibatch, counts as `nats` at least.

    Args:
        nats: The floor of each group.
        samples: Draws per datum.

    Raises:
        UsageError: nats that are not positive, or samples < 1.
    """
    if not 0 < nats < float("inf"):
        raise UsageError(f"expected nats > 0 and finite, got {nats}")
    at_least(1, samples=samples)
    return FreeBits(plain_elbo(samples), float(nats))
