"""Implicit and semi-implicit conditionals: networks that are driven by noise.

Huszar 2017, arXiv 1702.08235 (implicit distributions: draws without a density); Yin & Zhou 2018,
arXiv 1805.11183 (semi-implicit ones: an explicit layer whose parameters are driven by noise).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.distributions.contracts import (
    AbstractConditional,
    AbstractExplicit,
    AbstractImplicit,
    AbstractSemiImplicit,
)
from tightbound.distributions.normal import StandardNormal
from tightbound.networks import joined


class Implicit(AbstractImplicit):
    """value = network(noise, given) with noise ~ N(0, I).

    The network is any callable or Equinox module of the noise, of shape (noise,), and of what is
    given (None for a prior): `networks.Joined` joins both. It may be a posterior of x, a
    likelihood of z, or a prior of nothing.
    """

    network: Callable[[Float[Array, " n_noise"], Any], Any]
    noise: int = eqx.field(static=True)

    def push(self, noise: Float[Array, " n_noise"], given: Any) -> Any:
        """The value that this noise becomes."""
        return self.network(noise, given)


class SemiImplicit(AbstractSemiImplicit):
    """value ~ layer(. | epsilon, given) with epsilon ~ N(0, I), which is integrated out.

    The layer is any explicit conditional of one vector: epsilon and, behind it, what is given.
    """

    layer: AbstractExplicit
    noise: int = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie: where those of the layer do."""
        return self.layer.support

    @property
    def reparameterized(self) -> bool:
        """A draw is a differentiable function of the parameters where one of the layer is."""
        return self.layer.reparameterized

    def sample_mixing(self, given: Any, *, key: PRNGKeyArray) -> Float[Array, " n_noise"]:
        """One draw epsilon of the noise."""
        return StandardNormal(self.noise).sample(given, key=key)

    def log_prob_mixing(self, mixing: Float[Array, " n_noise"], given: Any) -> Float[Array, ""]:
        """Log-density of the noise in nats."""
        return StandardNormal(self.noise).log_prob(mixing, given)

    def sample_given(
        self, mixing: Float[Array, " n_noise"], given: Any, *, key: PRNGKeyArray
    ) -> Any:
        """One draw of the explicit layer, differentiable in the parameters and the noise."""
        return self.layer.sample(_behind(mixing, given), key=key)

    def log_prob_given(
        self, value: Any, mixing: Float[Array, " n_noise"], given: Any
    ) -> Float[Array, ""]:
        """Log q(z|epsilon, x) in nats."""
        return self.layer.log_prob(value, _behind(mixing, given))


class FromSimulator(AbstractConditional):
    """A simulator as a conditional: value = simulate(given, key), a plain JAX function."""

    simulate: Callable[[Any, PRNGKeyArray], Any]

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, differentiable where the simulator is."""
        return self.simulate(given, key)


def _behind(mixing: Float[Array, " n_noise"], given: Any) -> One:
    """One vector of the noise and of all that is given."""
    return joined(mixing, given)
