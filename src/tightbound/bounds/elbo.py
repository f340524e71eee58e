"""The evidence lower bound: the mean of the log-weights.

Reference: Kingma & Welling 2013, arXiv 1312.6114, eq. 2 and 6 (estimator A).
Bias: -KL(q(z|x) || p(z|x)) against log p(x), whatever the number of draws.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.bounds.abstract import AbstractBound


class ELBO(AbstractBound):
    """(1/L) sum_l log w_l: a lower bound in nats, unbiased for the ELBO."""

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The mean log-weight in nats."""
        return jnp.mean(log_w)

    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """1/L each."""
        return jnp.full_like(log_w, 1.0 / log_w.shape[0])

    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """1/L each: the weights do not depend on the draws."""
        return self.weights(log_w)

    def signals(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Each draw's own log-weight over L."""
        return log_w / log_w.shape[0]
