"""Cumulative-logit laws of columns with ordered levels.

McCullagh 1980, J. R. Stat. Soc. B 42(2), section 2 (proportional odds): z moves one number for each
column, thresholds are learned.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.supports import Support, levels
from tightbound.likelihoods.levelled import AbstractLevelled, shares
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import Free, Part, like
from tightbound.networks import Fixed


class OrdinalColumns(AbstractLevelled):
    """P(level <= k) = sigmoid(t_k - a) with ordered thresholds t and a free number a.

    The first threshold and the logarithms of the distances to the next ones are those of the
    training column and learned numbers, which start at 0.
    """

    start: Fixed
    """Of shape (m, levels - 1)."""
    moved: Float[Array, "m thresholds"]
    """What is learned."""

    @property
    def size(self) -> int:
        """A."""
        return 1

    @property
    def levels(self) -> int:
        """Their number."""
        return self.moved.shape[1] + 1

    @property
    def supports(self) -> tuple[Support, ...]:
        """Numbers of levels."""
        return (levels(self.levels),) * self.moved.shape[0]

    @property
    def thresholds(self) -> Float[Array, "m thresholds"]:
        """t, in their order."""
        first = (like(self.start, self.moved) + self.moved)[:, :1]
        return jnp.concatenate([first, first + jnp.cumsum(self._steps, axis=1)], axis=1)

    def log_probs(self, free: Free) -> Float[Array, "m levels"]:
        """Log-mass of each level in nats."""
        t = self.thresholds - free
        below, above = jax.nn.log_sigmoid(t), jax.nn.log_sigmoid(-t)
        between = below[:, 1:] + above[:, :-1] + log1mexp(self._steps)
        return jnp.concatenate([below[:, :1], between, above[:, -1:]], axis=1)

    @property
    def _steps(self) -> Float[Array, "m steps"]:
        return jnp.exp(jnp.clip((like(self.start, self.moved) + self.moved)[:, 1:], -20.0, 20.0))


def log1mexp(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Log (1 - exp(-x)) for x > 0: sigmoid(a) - sigmoid(b) is sigmoid(a) sigmoid(-b) of it.

    Maechler 2012 (accurately computing log(1 - exp(-|a|))).
    """
    near = x < 0.693
    inner = jnp.where(near, x, 1.0)
    return jnp.where(near, jnp.log(-jnp.expm1(-inner)), jnp.log1p(-jnp.exp(-x)))


def _of(part: Part) -> OrdinalColumns:
    below = np.cumsum(shares(part), axis=1)[:, :-1]
    thresholds = np.log(below) - np.log1p(-below)
    log_steps = np.log(np.diff(thresholds, axis=1))
    start = np.concatenate([thresholds[:, :1], log_steps], axis=1)
    return OrdinalColumns(Fixed.of(start), jnp.zeros(start.shape, jnp.float32))


LIKELIHOODS = {
    "ordinal": Likelihood("numbers of levels in an order; learned thresholds", univariate=_of),
}
