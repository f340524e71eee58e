"""A normalising flow of spline couplings, given what it is conditional on.

Reference: Durkan, Bekasov, Murray & Papamakarios 2019, arXiv 1906.04032 (neural spline flows);
Papamakarios & Murray 2016, arXiv 1605.06376 (conditional densities as posteriors).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.distributions import triangular
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.splines import forward, inverse
from tightbound.networks import Joined

SHARE = 0.1
"""Of what a coupling's network gives: steps of an optimiser then move a spline little."""


class SplineCoupling(eqx.Module):
    """y = x on half of the units, a spline of x on the others, which the first half and x give."""

    network: Joined
    """Of the units, 0 in place of those that move, and of what is given."""
    parity: int = eqx.field(static=True)

    def forward(self, x: Float[Array, " d"], given: One) -> tuple[Float[Array, " d"], Any]:
        """The image of x, and the log-determinant of the map."""
        return self._mapped(forward, x, given)

    def inverse(self, y: Float[Array, " d"], given: One) -> tuple[Float[Array, " d"], Any]:
        """What has the image y, and the log-determinant of the map there (forwards)."""
        return self._mapped(inverse, y, given)

    def _mapped(self, spline: Any, value: Float[Array, " d"], given: One) -> tuple[Any, Any]:
        # One unit by itself moves in every layer.
        d = value.shape[0]
        moves = jnp.arange(d) % 2 == self.parity if d > 1 else jnp.ones(1, bool)
        raw = SHARE * self.network(jnp.where(moves, 0.0, value), given).reshape(d, -1)
        moved, log_slope = jax.vmap(spline)(value, raw)
        return jnp.where(moves, moved, value), jnp.sum(jnp.where(moves, log_slope, 0.0))


class SplineFlow(AbstractExplicit):
    """z = L (u + centre(given)), and u the image of N(0, I) under spline couplings.

    L is a lower triangular matrix, the same whatever is given: with couplings that are identities
    this is the normal of a linear regression, where it may start. All parts are trained; in these
    coordinates a step of an optimiser is small beside the posterior's width, whatever its units.
    """

    centre: Joined
    """Of what is given: the middle, in units of L."""
    log_scale: Float[Array, " d"]
    """Logarithms of the diagonal of L."""
    below: Float[Array, "d d"]
    """What stands below it, in units of its row's diagonal; the other entries do nothing."""
    couplings: tuple[SplineCoupling, ...]

    @property
    def support(self) -> str:
        """Where values must lie."""
        return "real"

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One reparameterised draw."""
        return self.sample_and_log_prob(given, key=key)[0]

    def log_prob(self, value: Float[Array, " d"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        inner = value / jnp.exp(self.log_scale)
        u = jnp.matmul(triangular.inverse(self._unit()), inner, precision=triangular.HIGHEST)
        u = u - self.centre(given)
        log_volume = -jnp.sum(self.log_scale)
        for coupling in self.couplings:
            u, change = coupling.forward(u, given)
            log_volume = log_volume + change
        return jnp.sum(jax.scipy.stats.norm.logpdf(u)) + log_volume

    def sample_and_log_prob(
        self, given: One, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """One reparameterised draw and its log-density in nats, without a map back."""
        u = jax.random.normal(key, self.log_scale.shape)
        log_prob = jnp.sum(jax.scipy.stats.norm.logpdf(u)) - jnp.sum(self.log_scale)
        value, change = self._out(u, given)
        return value, log_prob + change

    def mean(self, given: One) -> Float[Array, " d"]:
        """The image of the base's mean, in place of a mean that has no closed form."""
        return self._out(jnp.zeros_like(self.log_scale), given)[0]

    def _out(self, u: Float[Array, " d"], given: One) -> tuple[Float[Array, " d"], Any]:
        """From the base to values; and the log-determinant of the couplings' maps there."""
        log_volume = jnp.zeros([])
        for coupling in reversed(self.couplings):
            u, change = coupling.inverse(u, given)
            log_volume = log_volume + change
        return jnp.exp(self.log_scale) * (self._unit() @ (u + self.centre(given))), log_volume

    def _unit(self) -> Float[Array, "d d"]:
        """L with its rows divided by its diagonal."""
        return jnp.tril(self.below, -1) + jnp.eye(self.below.shape[0])
