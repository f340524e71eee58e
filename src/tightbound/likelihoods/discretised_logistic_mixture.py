"""Mixtures of discretised logistic laws: bytes and other whole numbers with several modes.

Salimans, Karpathy, Chen & Kingma 2017, arXiv 1701.05517, section 2.1. There the channels of a pixel
have one component in common; here each value has its own, so that values are independent given z.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.core.supports import Support
from tightbound.likelihoods import discretised_logistic
from tightbound.likelihoods.discretised_logistic import DiscretisedLogisticColumns
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values

COMPONENTS = 5


class DiscretisedLogisticMixture(AbstractUnivariate):
    """A draw of component c of `of`, with probability softmax(l)_c.

    The free numbers of a column are those of the first component, l_1 and its law's, then those of
    the second, and so on.
    """

    of: DiscretisedLogisticColumns
    components: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        """For each component its l, and those of its law."""
        return self.components * (1 + self.of.size)

    @property
    def supports(self) -> tuple[Support, ...]:
        """Those of the law."""
        return self.of.supports

    @property
    def inside(self) -> Values:
        """The value next to each training column's mean."""
        return self.of.inside

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        log_share, own = self._parts(free)
        each = jax.vmap(self.of.log_prob, in_axes=(None, 1), out_axes=1)(values, own)
        return jax.nn.logsumexp(log_share + each, axis=1)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, as floats."""
        which_key, key = streams(key, "logistic_mixture.which", "logistic_mixture.value")
        log_share, own = self._parts(free)
        which = jax.random.categorical(which_key, log_share, axis=1)
        return self.of.sample(key, jnp.take_along_axis(own, which[:, None, None], axis=1)[:, 0])

    def mean(self, free: Free) -> Values:
        """The mean."""
        return self._mixed(jax.vmap(self.of.mean, in_axes=1, out_axes=1), free)

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger."""
        return self._mixed(lambda own: jax.vmap(self.of.cdf, (None, 1), 1)(values, own), free)

    def _mixed(self, of_each: Callable[[Any], Any], free: Free) -> Values:
        log_share, own = self._parts(free)
        return jnp.sum(jnp.exp(log_share) * of_each(own), axis=1)

    def _parts(self, free: Free) -> tuple[Float[Array, "m c"], Float[Array, "m c own"]]:
        """Log-shares of the components, and the free numbers of their laws."""
        parts = free.reshape(free.shape[0], self.components, 1 + self.of.size)
        return jax.nn.log_softmax(parts[..., 0], axis=1), parts[..., 1:]


def _of(
    part: Part,
    components: int = COMPONENTS,
    step: int | float | None = None,
    low: int | float | None = None,
    high: int | float | None = None,
) -> DiscretisedLogisticMixture:
    if isinstance(components, bool) or not isinstance(components, int) or components < 2:
        raise UsageError(
            f"discretised_logistic_mixture: expected components >= 2, got {components!r}"
        )
    return DiscretisedLogisticMixture(discretised_logistic.of(part, step, low, high), components)


LIKELIHOODS = {
    "discretised_logistic_mixture": Likelihood(
        "bytes and whole numbers of several modes: discretised_logistic_mixture(components=5)",
        univariate=_of,
        options=("components", "step", "low", "high"),
    ),
}
