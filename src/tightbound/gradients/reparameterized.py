"""The total derivative of the bound through the reparameterised draws.

Reference: Kingma & Welling 2013, arXiv 1312.6114, eq. 6; Burda et al. 2015, arXiv 1509.00519,
eq. 13-14.
Bias: none for the bound. The signal-to-noise ratio of the posterior's part falls as k^(-1/2).
"""

from jaxtyping import Array, Float

from tightbound.bounds import AbstractBound
from tightbound.gradients.abstract import AbstractGradient, Coefficients


class Reparameterized(AbstractGradient):
    """sum_i a_i d log w_i with a_i = d bound / d log w_i, in all parameters."""

    @property
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""
        return "reparameterized"

    @property
    def total(self) -> bool:
        """It is the total derivative."""
        return True

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """Equal weights for the three terms."""
        a = bound.weights(log_w)
        return Coefficients(model=a, path=a, score=-a)


GRADIENTS = {"reparameterized": Reparameterized()}
