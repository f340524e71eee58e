"""Sticking the landing: the path derivative alone.

Reference: Roeder, Wu & Duvenaud 2017, arXiv 1703.09194.
Bias: none for the ELBO. For the importance weighted bound with k > 1 the posterior's part is
biased: it follows a self-normalised estimate of -d KL(p(z|x) || q(z|x)) instead
(Finke & Thiery 2019, arXiv 1907.10477).
"""

from jaxtyping import Array, Float

from tightbound.bounds import AbstractBound
from tightbound.gradients.abstract import AbstractGradient, Coefficients


class StickingTheLanding(AbstractGradient):
    """The total derivative without its score term; zero for each draw at the exact posterior."""

    @property
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""
        return "sticking_the_landing"

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The bound's weights on model and path, none on the score."""
        a = bound.weights(log_w)
        return Coefficients(model=a, path=a, score=None)


GRADIENTS = {"sticking_the_landing": StickingTheLanding()}
