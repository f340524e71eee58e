"""A mixture of normals as a prior whose components are learned.

Tomczak & Welling 2018, arXiv 1705.07120, section 3 (the mixture of Gaussians that their VampPrior
is compared with).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.core.supports import REAL
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import Dense


class MixturePrior(AbstractExplicit):
    """Sum over c of softmax(logits)_c N(mean_c, diag(scale_c^2)).

    Row c of the layer's weight, beside its bias, holds mean_c and log scale_c: the layer's output
    for a one-hot vector. So components start apart, by its rule, around the standard normal.
    """

    components: Dense
    logits: Float[Array, " c"]

    @staticmethod
    def of(dim: int, components: int, *, key: PRNGKeyArray) -> "MixturePrior":
        """A mixture of so many components in `dim` dimensions, with equal shares."""
        return MixturePrior(Dense.glorot(components, 2 * dim, key=key), jnp.zeros(components))

    @property
    def offers(self) -> frozenset[str]:
        """Draws, the density and its score."""
        return frozenset({"samples", "density", "score"})

    @property
    def support(self) -> str:
        """Where values must lie."""
        return REAL

    @property
    def reparameterized(self) -> bool:
        """Which component a draw is of is no differentiable function of the shares."""
        return False

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw, differentiable in its component's parameters alone."""
        del given
        which_key, key = streams(key, "mixture_prior.which", "mixture_prior.z")
        which = jax.random.categorical(which_key, self.logits)
        mean, log_scale = (each[which] for each in self.parameters())
        return mean + jnp.exp(log_scale) * jax.random.normal(key, mean.shape, mean.dtype)

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        del given
        mean, log_scale = self.parameters()
        u = (value[None] - mean) * jnp.exp(-log_scale)
        each = -0.5 * u * u - log_scale - 0.5 * math.log(2 * math.pi)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + jnp.sum(each, axis=1))

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The mean over components."""
        del given
        return jax.nn.softmax(self.logits) @ self.parameters()[0]

    def parameters(self) -> tuple[Float[Array, "c dim"], Float[Array, "c dim"]]:
        """Means and log-scales of the components."""
        both = self.components.weight + self.components.bias[None]
        mean, log_scale = jnp.split(both, 2, axis=1)
        return mean, log_scale
