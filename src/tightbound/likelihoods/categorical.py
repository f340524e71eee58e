"""Categorical laws of columns with levels: one free number per level."""

import jax
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.supports import Support, levels
from tightbound.likelihoods.levelled import AbstractLevelled, shares
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import Free, like
from tightbound.networks import Fixed


class CategoricalColumns(AbstractLevelled):
    """Level k with probability softmax(log_share + a)_k; a are free numbers."""

    log_share: Fixed
    """Of shape (m, levels), of the training column."""

    @property
    def size(self) -> int:
        """One for each level."""
        return self.log_share.bits.shape[1]

    @property
    def levels(self) -> int:
        """Their number."""
        return self.log_share.bits.shape[1]

    @property
    def supports(self) -> tuple[Support, ...]:
        """Numbers of levels."""
        return (levels(self.levels),) * self.log_share.bits.shape[0]

    def log_probs(self, free: Free) -> Float[Array, "m levels"]:
        """Log-mass of each level in nats."""
        return jax.nn.log_softmax(like(self.log_share, free) + free, axis=1)


LIKELIHOODS = {
    "categorical": Likelihood(
        "numbers of levels without an order",
        univariate=lambda part: CategoricalColumns(Fixed.of(np.log(shares(part)))),
    ),
}
