"""Normals that follow draws: where they are and how far apart."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.networks import Joined, flat
from tightbound.objectives.implicit.terms.abstract import Sizes, Z, seen

WIDEST = 8.0
"""Largest log-standard deviation, of either sign, that a following normal may have."""


class Moments(eqx.Module):
    """A normal r(z|x) that follows q(z|x): where its draws are and how far apart."""

    network: Joined

    @staticmethod
    def build(sizes: Sizes, hidden: tuple[int, ...], key: PRNGKeyArray) -> "Moments":
        """Starts at zero and one."""
        network = sizes.network(hidden, 2 * sizes.z, key)
        return Moments(eqx.tree_at(lambda n: n.head.weight, network, replace_fn=jnp.zeros_like))

    def parameters(self, x: Float[Array, "*item"]) -> tuple[Float[Array, " z"], Float[Array, " z"]]:
        """Mean and log-standard deviations, these within a range that nothing can overflow."""
        location, raw = jnp.split(self.network(seen(x)), 2)
        return location, WIDEST * jnp.tanh(raw / WIDEST)

    def at(self, x: Float[Array, "n *item"]) -> tuple[Z, Z]:
        """Means and standard deviations, as constants."""
        location, log_scale = jax.lax.stop_gradient(jax.vmap(self.parameters)(x))
        return location, jnp.exp(log_scale)

    def loss(self, x: Float[Array, "n *item"], z: Any) -> Float[Array, ""]:
        """-E log r(z|x) at q's draws in nats."""
        z = jax.lax.stop_gradient(jax.vmap(flat)(z))
        location, log_scale = jax.vmap(self.parameters)(x)
        log_r = jax.scipy.stats.norm.logpdf((z - location) * jnp.exp(-log_scale)) - log_scale
        return -jnp.mean(jnp.sum(log_r, axis=1))
