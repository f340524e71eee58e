"""The variational Renyi bound: a mean of powers of the weights.

Reference: Li & Turner 2016, arXiv 1602.02311, eq. 8 (the bound) and 12 (its gradient).
Bias: for alpha > 0 below log p(x) whatever k. For alpha < 0 the limit of many draws is above log
p(x), but few draws pull the mean down, to the ELBO for one draw: then no direction is certain.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.bounds.abstract import AbstractBound


class Renyi(AbstractBound):
    """log((1/k) sum_i w_i^(1 - alpha)) / (1 - alpha) in nats.

    alpha = 0 is the importance weighted bound and alpha = 1, as a limit, the ELBO; alpha = -inf is
    the largest log-weight ("VR-max").
    """

    alpha: float = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound for alpha >= 0; upper only in the limit of many draws, so none, below."""
        return "lower" if self.alpha >= 0 else "none"

    @property
    def smooth(self) -> bool:
        """The largest of the weights is no smooth function of them."""
        return math.isfinite(self.alpha)

    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The bound in nats."""
        if math.isinf(self.alpha):
            return jnp.max(log_w)
        power = 1.0 - self.alpha
        if power == 0.0:
            return jnp.mean(log_w)
        return (jax.nn.logsumexp(power * log_w) - math.log(log_w.shape[0])) / power

    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """The normalised powers of the weights (eq. 13)."""
        if math.isinf(self.alpha):
            return jax.nn.one_hot(jnp.argmax(log_w), log_w.shape[0], dtype=log_w.dtype)
        return jax.nn.softmax((1.0 - self.alpha) * log_w)

    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Alpha a_i + (1 - alpha) a_i^2."""
        a = self.weights(log_w)
        return self.alpha * a + (1.0 - self.alpha) * a**2
