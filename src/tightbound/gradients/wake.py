"""Reweighted wake-sleep's wake phase for the posterior: it follows KL(p(z|x) || q(z|x)).

Reference: Bornschein & Bengio 2014, arXiv 1406.2751; Tucker et al. 2018, arXiv 1810.04152, and
Finke & Thiery 2019, arXiv 1907.10477, eq. 8 and 14, for the reparameterised form.
Bias: the posterior's part is no gradient of the bound. It estimates -d_phi KL(p(z|x) || q(z|x))
with a bias of O(1/k); the model's part is that of the bound.
"""

import equinox as eqx
from jaxtyping import Array, Float

from tightbound.bounds import IWAE, AbstractBound
from tightbound.core.errors import UsageError
from tightbound.gradients.abstract import AbstractGradient, Coefficients


class Wake(AbstractGradient):
    """The normalised weights on d_phi log q(z_i|x).

    With `reparameterized`, w_i - w_i^2 on the path instead: the same mean, and zero for each draw
    at the exact posterior.
    """

    reparameterized: bool = eqx.field(static=True, default=False)

    @property
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""
        return "wake_dreg" if self.reparameterized else "wake"

    @property
    def through_draws(self) -> bool:
        """Draws may be discrete unless the path is used."""
        return self.reparameterized

    def check(self, bound: AbstractBound, k: int) -> None:
        """Needs the importance weighted bound with several draws."""
        if not isinstance(bound, IWAE) or k < 2:
            raise UsageError(
                f"{self.name} needs the normalised weights of several draws (with one draw its "
                f"mean is zero): expected iwae with k >= 2, got {type(bound).__name__} with k = {k}"
            )

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The normalised weights on the model, and as said above for the posterior."""
        w = bound.weights(log_w)
        if self.reparameterized:
            return Coefficients(w, path=w * (1 - w), score=None)
        return Coefficients(w, path=None, score=w)


GRADIENTS = {"wake": Wake(), "wake_dreg": Wake(reparameterized=True)}
