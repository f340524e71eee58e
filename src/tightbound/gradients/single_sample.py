"""Many forward passes, few backward: draws to differentiate are drawn by their weights.

Reference: Burda et al. 2015, arXiv 1509.00519, section 3.1 (one draw, total derivative).
Bias: none beyond that of the inner estimator; the variance is higher.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.bounds import AbstractBound
from tightbound.core.errors import UsageError
from tightbound.gradients.abstract import AbstractGradient, Coefficients
from tightbound.gradients.reparameterized import Reparameterized


class SingleSample(AbstractGradient):
    """Back-propagates `draws` of the k draws, chosen with the probabilities a_i.

    One draw of the total derivative is the trick of Burda et al. With more draws they are spread
    by systematic resampling, and `inner` may be any estimator whose model weights a_i are
    non-negative and sum to one, such as DReG.
    """

    inner: AbstractGradient = Reparameterized()
    draws: int = eqx.field(static=True, default=1)

    @property
    def name(self) -> str:
        """The inner estimator's name and the number of backward passes."""
        return f"{self.inner.name}@{self.draws}"

    @property
    def through_draws(self) -> bool:
        """As for the inner estimator."""
        return self.inner.through_draws

    @property
    def total(self) -> bool:
        """As for the inner estimator."""
        return self.inner.total

    def check(self, bound: AbstractBound, k: int) -> None:
        """Needs weights that are probabilities, and what the inner estimator needs."""
        self.inner.check(bound, k)
        if not bound.shares:
            raise UsageError(
                f"{self.name!r} draws by weight, but {type(bound).__name__} has weights that can "
                f"be negative; use gradient={self.inner.name!r}"
            )

    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The inner estimator's weights over all k draws."""
        return self.inner.coefficients(bound, log_w)

    def choose(self, weights: Float[Array, " k"], *, key: PRNGKeyArray) -> Int[Array, " draws"]:
        """Indices drawn with the given probabilities, each expected `draws * weights` times."""
        u = (jax.random.uniform(key) + jnp.arange(self.draws, dtype=jnp.float32)) / self.draws
        cumulative = jnp.cumsum(weights)
        below = jnp.sum(cumulative[None, :] <= (u * cumulative[-1])[:, None], axis=1)
        # Rounding can make u one: the last index of positive weight stands for what is beyond.
        return jnp.minimum(below, jnp.sum(cumulative < cumulative[-1]))

    def of_chosen(self, all_draws: Coefficients, chosen: Int[Array, " draws"]) -> Coefficients:
        """The chosen draws' weights, over the probability with which they were chosen."""
        a = all_draws.model[chosen]
        score = None if all_draws.score is None else all_draws.score[chosen] / (a * self.draws)
        model = jnp.full_like(a, 1.0 / self.draws)
        path = None if all_draws.path is None else all_draws.path[chosen] / (a * self.draws)
        return Coefficients(model, path, score)
