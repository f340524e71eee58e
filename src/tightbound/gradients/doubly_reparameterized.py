"""The doubly reparameterised gradient (DReG).

Reference: Tucker, Lawson, Gu & Maddison 2018, arXiv 1810.04152; Finke & Thiery 2019,
arXiv 1907.10477, lemma 1. For several layers: Bauer & Mnih 2021, arXiv 2101.11046.
Bias: none for the bound. The signal-to-noise ratio of the posterior's part grows with k.
"""

from jaxtyping import Array, Float

from tightbound.bounds import AbstractBound
from tightbound.core.errors import UsageError
from tightbound.gradients.abstract import AbstractGradient, Coefficients


class DoublyReparameterized(AbstractGradient):
    """Replaces the score term by its own reparameterised form; squared weights for IWAE."""

    @property
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""
        return "doubly_reparameterized"

    def check(self, bound: AbstractBound, k: int) -> None:
        """Needs weights that are differentiable."""
        del k
        if not bound.smooth:
            raise UsageError(
                f"no doubly reparameterised gradient exists for {type(bound).__name__}: its "
                "weights jump where draws change places; use gradient='reparameterized'"
            )

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The bound's weights on the model, its doubly reparameterised ones on the path."""
        return Coefficients(bound.weights(log_w), bound.path_weights(log_w), score=None)


GRADIENTS = {"doubly_reparameterized": DoublyReparameterized()}
