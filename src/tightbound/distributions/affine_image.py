"""Distributions in the units of a normal: z = m + L u, where u is what they draw.

What has to be learned is then near N(0, I), however the coordinates of z are correlated and scaled.

Reference: Hoffman et al. 2019, arXiv 1903.03704 (a map fitted first, by which what follows sees a
target near to a standard normal).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import Datum, One
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.full_normal import affine, log_volume
from tightbound.distributions.triangular import HIGHEST


class AffineImage(AbstractExplicit):
    """z = m + L u with u ~ inner(. | given), m and L those of the normal `base`.

    The base is given all but the first `behind` numbers, which are noise that drives the inner
    distribution alone.
    """

    inner: AbstractExplicit
    base: AbstractExplicit
    behind: int = eqx.field(static=True, default=0)

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    @property
    def reparameterized(self) -> bool:
        """A draw is a differentiable function of the parameters where one of u is."""
        return self.inner.reparameterized

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw, differentiable in the parameters."""
        return self.sample_and_log_prob(given, key=key)[0]

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        shift, factor, inverted = affine(self.base, _without(given, self.behind))
        u = jnp.matmul(inverted, value - shift, precision=HIGHEST)
        return self.inner.log_prob(u, given) - log_volume(factor)

    def sample_and_log_prob(
        self, given: One, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One draw, differentiable in the parameters, and its log-density in nats."""
        shift, factor, _ = affine(self.base, _without(given, self.behind))
        u, log_prob = self.inner.sample_and_log_prob(given, key=key)
        return shift + jnp.matmul(factor, u, precision=HIGHEST), log_prob - log_volume(factor)

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The image of the inner mean."""
        shift, factor, _ = affine(self.base, _without(given, self.behind))
        return shift + jnp.matmul(factor, self.inner.mean(given), precision=HIGHEST)


class AffinePush(eqx.Module):
    """The network of an implicit distribution in the units of a normal."""

    network: Callable[[Float[Array, " n_noise"], Any], Float[Array, " dim"]]
    base: AbstractExplicit

    def __call__(self, noise: Float[Array, " n_noise"], given: Any) -> Float[Array, " dim"]:
        """The value that this noise becomes."""
        shift, factor, _ = affine(self.base, given)
        return shift + jnp.matmul(factor, self.network(noise, given), precision=HIGHEST)


def _without(given: Any, behind: int) -> Any:
    """What is given without the noise before it."""
    if isinstance(given, Datum):
        observed = None if given.observed is None else given.observed[behind:]
        return Datum(given.x[behind:], observed, given.condition)
    return given[behind:] if behind else given
