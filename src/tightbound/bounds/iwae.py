"""The importance weighted bound: the log of the mean weight.

Reference: Burda, Grosse & Salakhutdinov 2015, arXiv 1509.00519, eq. 8.
Bias: -Var(w) / (2 k p(x)^2) + O(1/k^2) against log p(x); it vanishes as k grows.
"""

import math

import jax
from jaxtyping import Array, Float

from tightbound.bounds.abstract import AbstractBound


class IWAE(AbstractBound):
    """log (1/k) sum_i w_i: a lower bound in nats that rises with k."""

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The log-mean-exp of the log-weights in nats; -inf if every weight is zero."""
        return jax.nn.logsumexp(log_w) - math.log(log_w.shape[0])

    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """The normalised importance weights (eq. 14)."""
        return jax.nn.softmax(log_w)

    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """The squares of the normalised importance weights."""
        return jax.nn.softmax(log_w) ** 2
