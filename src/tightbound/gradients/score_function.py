"""The score-function gradient: no derivative flows through the draws.

Reference: Paisley, Blei & Jordan 2012, arXiv 1206.6430; the "naive" estimator of Kingma & Welling
2013, arXiv 1312.6114, section 2.2. For the importance weighted bound: Mnih & Rezende 2016,
arXiv 1602.06725, eq. 5-7.
Bias: none for the bound, whatever the baseline; the variance is the highest of all estimators.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.bounds import AbstractBound
from tightbound.gradients.abstract import AbstractGradient, Coefficients


class ScoreFunction(AbstractGradient):
    """Weighs d_phi log q(z_i|x) by what the bound owes to draw i; serves discrete latents too.

    With `control` the mean signal of the other data of the minibatch, whose draws are independent,
    is taken off: a baseline without parameters (zero for a minibatch of one).
    """

    control: bool = eqx.field(static=True, default=False)

    @property
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""
        return "score_function_cv" if self.control else "score_function"

    @property
    def through_draws(self) -> bool:
        """Draws may be discrete."""
        return False

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The bound's weights on the model; signal less direct dependence on the score."""
        a = bound.weights(log_w)
        return Coefficients(a, path=None, score=bound.signals(log_w) - a)

    def of_batch(self, bound: AbstractBound, log_w: Float[Array, "n k"]) -> Coefficients:
        """The coefficients of n data, less the baseline."""
        signals, a = jax.vmap(bound.signals)(log_w), jax.vmap(bound.weights)(log_w)
        n = log_w.shape[0]
        if self.control and n > 1:
            each = jnp.mean(signals, axis=1)
            signals = signals - ((jnp.sum(each) - each) / (n - 1))[:, None]
        return Coefficients(a, path=None, score=signals - a)


GRADIENTS = {
    "score_function": ScoreFunction(),
    "score_function_cv": ScoreFunction(control=True),
}
