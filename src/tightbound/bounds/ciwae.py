"""Between the ELBO and the importance weighted bound.

Reference: Rainforth et al. 2018, arXiv 1802.04537, CIWAE (eq. 12-13 as restated there).
Bias: beta times that of the ELBO plus 1 - beta times that of the importance weighted bound.
"""

import equinox as eqx
from jaxtyping import Array, Float

from tightbound.bounds.abstract import AbstractBound
from tightbound.bounds.elbo import ELBO
from tightbound.bounds.iwae import IWAE


class CIWAE(AbstractBound):
    """beta (1/k) sum_i log w_i + (1 - beta) log (1/k) sum_i w_i: a lower bound in nats."""

    beta: float = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The weighted mean of both bounds on the same draws."""
        return self._mean(ELBO().value(log_w), IWAE().value(log_w))

    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Beta / k + (1 - beta) times the normalised importance weights."""
        return self._mean(ELBO().weights(log_w), IWAE().weights(log_w))

    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Beta / k + (1 - beta) times the squares of the normalised weights."""
        return self._mean(ELBO().path_weights(log_w), IWAE().path_weights(log_w))

    def signals(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Both bounds' signals, weighted alike."""
        return self._mean(ELBO().signals(log_w), IWAE().signals(log_w))

    def _mean(self, elbo: Float[Array, "*s"], iwae: Float[Array, "*s"]) -> Float[Array, "*s"]:
        # A bound of weight zero is left out, since it may be infinite.
        if self.beta == 0.0:
            return iwae
        return elbo if self.beta == 1.0 else self.beta * elbo + (1.0 - self.beta) * iwae
