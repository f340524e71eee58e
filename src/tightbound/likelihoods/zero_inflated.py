"""Counts with more zeros than their law has: zero for sure by a share, else a count of that law.

Lambert 1992 (zero-inflated Poisson regression).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.core.supports import COUNT, Support
from tightbound.likelihoods import negative_binomial, poisson
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed


class ZeroInflated(AbstractUnivariate):
    """Zero with probability sigmoid(l + a), else a draw of `of`; a is the first free number.

    At the start `of` has the mean of the training column's positive counts, and l the share of
    zeros that it does not have itself.
    """

    of: AbstractUnivariate
    logit: Fixed
    """l."""

    @property
    def size(self) -> int:
        """a, and those of the law."""
        return 1 + self.of.size

    @property
    def supports(self) -> tuple[Support, ...]:
        """Those of the law."""
        return self.of.supports

    @property
    def sees(self) -> str:
        """As the law's."""
        return self.of.sees

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        logit = self._logit(free)
        counted = jax.nn.log_sigmoid(-logit) + self.of.log_prob(values, free[:, 1:])
        zero = jnp.logaddexp(jax.nn.log_sigmoid(logit), counted)
        return jnp.where(values > 0, counted, zero)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, as floats."""
        zero_key, count_key = streams(key, "zero_inflated.zero", "zero_inflated.count")
        logit = self._logit(free)
        u = jax.random.uniform(zero_key, logit.shape, logit.dtype)
        counts = self.of.sample(count_key, free[:, 1:])
        return jnp.where(u < jax.nn.sigmoid(logit), 0.0, counts)

    def mean(self, free: Free) -> Values:
        """The mean."""
        return jax.nn.sigmoid(-self._logit(free)) * self.of.mean(free[:, 1:])

    def zero_share(self, free: Free) -> Values:
        """The probability of a zero that is none of the law's."""
        return jax.nn.sigmoid(self._logit(free))

    def _logit(self, free: Free) -> Values:
        return like(self.logit, free) + free[:, 0]


def _inflated(make: Callable[[Part], AbstractUnivariate]) -> Callable[[Part], ZeroInflated]:
    def of(part: Part) -> ZeroInflated:
        part.check(COUNT)
        positive = np.where(part.values > 0, part.values, np.nan)
        positive[:, np.isnan(positive).all(axis=0)] = 1.0
        law = make(Part(positive, part.columns))
        d = len(part.columns)
        own = np.exp(np.asarray(law.log_prob(jnp.zeros(d), jnp.zeros((d, law.size)))))
        known = (~np.isnan(part.values)).sum(axis=0)
        share = (np.nansum(part.values == 0, axis=0) + 0.5) / (known + 1.0)
        more = np.clip((share - own) / np.maximum(1.0 - own, 1e-3), 0.01, 0.99)
        return ZeroInflated(law, Fixed.of(np.log(more) - np.log1p(-more)))

    return of


LIKELIHOODS = {
    "zero_inflated_poisson": Likelihood(
        "counts with more zeros than a Poisson law has",
        univariate=_inflated(poisson.of),
    ),
    "zero_inflated_negative_binomial": Likelihood(
        "counts with more zeros than a negative binomial has",
        univariate=_inflated(negative_binomial.of),
    ),
}
