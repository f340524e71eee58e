"""The score-function gradient with a baseline for each draw from the other draws.

Reference: Mnih & Rezende 2016, arXiv 1602.06725 (VIMCO), eq. 9-10 with the geometric mean.
Bias: none for the bound, since a draw's baseline does not depend on it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.bounds import AbstractBound
from tightbound.core.errors import UsageError
from tightbound.gradients.abstract import AbstractGradient, Coefficients


class VIMCO(AbstractGradient):
    """The baseline is the signal with log w_i replaced by the mean log-weight of the others.

    For the ELBO that is the mean of the other draws' log-weights, the leave-one-out baseline.
    """

    @property
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""
        return "vimco"

    @property
    def through_draws(self) -> bool:
        """Draws may be discrete."""
        return False

    def check(self, bound: AbstractBound, k: int) -> None:
        """Needs other draws."""
        if k < 2:
            raise UsageError(
                "vimco takes a draw's baseline from the other draws: expected k >= 2, got "
                f"k = {k}; use gradient='score_function_cv'"
            )

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The bound's weights on the model; signal less baseline on the score."""
        k = log_w.shape[0]
        others = (jnp.sum(log_w) - log_w) / (k - 1)
        # O(k^2) numbers in all, each a scalar: nothing beside a network's pass over k draws.
        replaced = jnp.where(jnp.eye(k, dtype=bool), others[:, None], log_w[None, :])
        baseline = jnp.diag(jax.vmap(bound.signals)(replaced))
        a = bound.weights(log_w)
        return Coefficients(a, path=None, score=bound.signals(log_w) - baseline - a)


GRADIENTS = {"vimco": VIMCO()}
