"""Semi-implicit variational inference: the ELBO of h(z|x) = E q(z|epsilon, x), bounded from below.

Formula: (1/J) sum_j log p(x, z_j) - log (1/(K+1)) [q(z_j|e_j, x) + sum_k q(z_j|e^k, x)]
Direction: lower (of the ELBO of h, and so of log p(x); with weighted=True of log p(x)).
Reference: Yin & Zhou 2018, arXiv 1805.11183, algorithm 1; weighted: their SIVAE code.
Bias: low by E KL(q(z|e_0, x) h || mixture of K + 1), which falls to zero as K grows. For small K
the best q is a narrow one: at K = 0 all noise collapses to one point. The gradient is the total
derivative of what is reported.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import at_least
from tightbound.core.items import Items, One
from tightbound.distributions.components import log_mean_exp
from tightbound.objectives.contract import (
    About,
    Params,
    Step,
    differentiated_bound,
)
from tightbound.objectives.semi_implicit.mixtures import (
    MIXTURE,
    AbstractSemiImplicitObjective,
    draw,
    log_weights_with_own,
)


class SIVI(AbstractSemiImplicitObjective):
    """The surrogate bound with K fresh noises that the draws of a datum share."""

    k: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    weighted: bool = eqx.field(static=True)

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"sivi(k={self.k}, samples={self.samples}, weighted={self.weighted})"

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum in nats."""

        def one(x: One, key: PRNGKeyArray) -> Float[Array, ""]:
            draws = draw(params.posterior, x, key, self.samples, self.k)
            log_w = log_weights_with_own(params, draws, x)
            return log_mean_exp(log_w) if self.weighted else jnp.mean(log_w)

        return jax.vmap(one)(items.data, keys)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean bound, and the bound per datum in nats."""
        return differentiated_bound(self, params, items, keys), None


ABOUT = About(example={"k": 4}, requires=MIXTURE)


def sivi(k: int, samples: int = 1, *, weighted: bool = False) -> SIVI:
    """The surrogate ELBO of a semi-implicit q(z|x) with k + 1 components; nats, lower bound.

    The k fresh noises of a datum are shared by its `samples` draws, so that a step costs
    k + samples evaluations of the network of q. For a `Target`, few data with many samples
    (`batch_size=1`, `samples=40`) are far cheaper than the other way round. Fragile for small k:
    the bound then rewards a q whose noise does nothing. Raise k in a `schedule`, and measure the
    fit by `tb.evidence.semi_implicit_sandwich`.

    Args:
        k: Fresh noises; 0 is the bound of a hierarchical q without any correction.
        samples: Draws of z per datum.
        weighted: Take the logarithm of the mean weight of the samples in place of the mean
            logarithm, as the importance weighted bound does: a bound on log p(x), which may lie
            above the ELBO of q.

    Raises:
        UsageError: k < 0 or samples < 1.
    """
    at_least(0, k=k)
    at_least(1, samples=samples)
    return SIVI(k, samples, weighted)
