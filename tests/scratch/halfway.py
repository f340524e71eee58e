"""Half of the ELBO and half of the importance weighted bound.

Reference: none; for a test that adds a bound.
Bias: the mean of those of the two bounds.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.bounds.abstract import AbstractBound


class Halfway(AbstractBound):
    """(mean log w + log mean w) / 2 in nats."""

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The bound in nats."""
        k = jnp.asarray(log_w.shape[0], log_w.dtype)
        return (jnp.mean(log_w) + jax.nn.logsumexp(log_w) - jnp.log(k)) / 2

    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """The mean of 1/k and the normalised weights."""
        return (1 / log_w.shape[0] + jax.nn.softmax(log_w)) / 2

    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """The mean of 1/k and the squares of the normalised weights."""
        return (1 / log_w.shape[0] + jax.nn.softmax(log_w) ** 2) / 2
