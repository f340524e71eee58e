"""A distribution over models: every parameter of one is normal, independently of the others.

Reference: Kingma & Welling 2013, arXiv 1312.6114, appendix F: theta = mu + sigma * zeta with
zeta ~ N(0, I) (eq. 19 and F.1), under the prior p_alpha(theta) = N(0, scale^2 I).
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import first_keys, streams
from tightbound.distributions import AbstractExplicit
from tightbound.models.model import Model


class Bayesian(eqx.Module):
    """q(theta) = N(mu, diag(sigma^2)) over all parameters of a model."""

    mean: Model
    """The model whose parameters are mu: the plug-in model."""
    log_sigma: tuple[Float[Array, "..."], ...]
    """Logarithms of sigma, one array for each of the model's, in their order."""
    scale: float = eqx.field(static=True)
    """Standard deviation of the prior p_alpha."""

    @property
    def prior(self) -> AbstractExplicit:
        """The prior p(z) of the plug-in model."""
        return self.mean.prior

    @property
    def likelihood(self) -> AbstractExplicit:
        """The likelihood p(x|z) of the plug-in model."""
        return self.mean.likelihood

    @property
    def condition(self) -> int:
        """How many numbers the condition of the plug-in model has."""
        return self.mean.condition

    def draw(self, key: PRNGKeyArray) -> Model:
        """A model with parameters mu + sigma * zeta, differentiable in mu and sigma."""
        mu, rest = eqx.partition(self.mean, eqx.is_inexact_array)
        leaves, tree = jax.tree.flatten(mu)
        keys = first_keys(key, len(leaves))
        theta = [
            m + jnp.exp(s) * jax.random.normal(k, m.shape, m.dtype)
            for m, s, k in zip(leaves, self.log_sigma, keys, strict=True)
        ]
        return eqx.combine(jax.tree.unflatten(tree, theta), rest)

    def kl(self) -> Float[Array, ""]:
        """KL(q(theta) || p_alpha(theta)) in nats, in closed form (eq. 24's second sum)."""
        mu = jax.tree.leaves(eqx.filter(self.mean, eqx.is_inexact_array))
        # Relative to the prior's scale, where p_alpha is N(0, I).
        shrink = math.log(self.scale)

        def one(m: Float[Array, "..."], s: Float[Array, "..."]) -> Float[Array, ""]:
            log_variance = 2 * (s - shrink)
            return 0.5 * jnp.sum((m / self.scale) ** 2 + jnp.expm1(log_variance) - log_variance)

        return jnp.sum(jnp.stack([one(m, s) for m, s in zip(mu, self.log_sigma, strict=True)]))

    def sample(
        self, key: PRNGKeyArray, condition: Float[Array, " c"] | None = None
    ) -> tuple[Float[Array, "*item"], Any]:
        """One draw (x, z) of one drawn model, given the condition if it has one."""
        model_key, key = streams(key, "bayesian.theta", "bayesian.data")
        return self.draw(model_key).sample(key, condition)


def bayesian(model: Model, *, scale: float = 1.0, sigma: float = 0.05) -> Bayesian:
    """Turns a model's parameters into means of a normal q(theta), for `objectives.full_vb`.

    Args:
        model: Its parameters become mu.
        scale: Standard deviation of the prior p_alpha(theta) = N(0, scale^2 I).
        sigma: First standard deviation of every parameter under q.

    Raises:
        UsageError: A scale or sigma that is not positive, or a model without parameters.
    """
    for name, value in (("scale", scale), ("sigma", sigma)):
        if not value > 0:
            raise UsageError(f"expected {name} > 0, got {value}")
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    if not leaves:
        raise UsageError("expected a model with parameters to be uncertain of, got none")
    log_sigma = tuple(jnp.full_like(leaf, math.log(sigma)) for leaf in leaves)
    return Bayesian(model, log_sigma, float(scale))


def plug_in(model: Model | Bayesian) -> Model:
    """The model with parameters mu, or the model itself if its parameters are certain."""
    return model.mean if isinstance(model, Bayesian) else model
