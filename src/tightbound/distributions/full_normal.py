"""Normal conditionals with a full covariance, and mixtures of them.

The factor of the covariance is L = diag(s) (I + N) with N strictly lower triangular: a change of a
coordinate's unit changes its s alone. Draws and densities are matrix products.

Reference: Titsias & Lazaro-Gredilla 2014, ICML (a normal with a Cholesky factor, reparameterised);
Morningstar et al. 2021, arXiv 2003.01687 (mixtures, with draws from every component).
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import One
from tightbound.core.streams import streams
from tightbound.distributions.contracts import AbstractExplicit, AbstractStrata
from tightbound.distributions.normal import DiagonalNormal
from tightbound.distributions.triangular import HIGHEST, inverse
from tightbound.networks import Head, read

Affine = tuple[Float[Array, " dim"], Float[Array, "dim dim"], Float[Array, "dim dim"]]
"""A mean, the factor L of the covariance, and its inverse."""


class FullNormal(AbstractExplicit):
    """N(mu(h), L(h) L(h)') with h = trunk(given) and linear heads, of which s is the exponential.

    `below` holds N row by row.
    """

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    location: Head
    log_scale: Head
    below: Head

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One reparameterised draw mu + L epsilon."""
        return self.sample_and_log_prob(given, key=key)[0]

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        location, factor, inverted = self.affine(given)
        white = jnp.matmul(inverted, value - location, precision=HIGHEST)
        return _standard(white) - log_volume(factor)

    def sample_and_log_prob(
        self, given: One, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One reparameterised draw and its log-density in nats."""
        location, factor, _ = self.affine(given)
        white = jax.random.normal(key, location.shape)
        value = location + jnp.matmul(factor, white, precision=HIGHEST)
        return value, _standard(white) - log_volume(factor)

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The mean mu(h)."""
        return self.affine(given)[0]

    def affine(self, given: One) -> Affine:
        """The mean, the factor L of the covariance, and its inverse, given one value."""
        h = read(self.trunk, given)
        factor = _factor(self.log_scale(h), self.below(h))
        return self.location(h), factor, inverse(factor)


class FullMixture(AbstractStrata):
    """A mixture of `components` normals with full covariances, all from heads of h = trunk(given).

    A draw is no differentiable function of the shares: `objectives.stratified` draws from every
    component; gradients that leave draws alone ("vimco", "wake") do for the other objectives.
    """

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    share: Head
    location: Head
    log_scale: Head
    below: Head
    components: int = eqx.field(static=True)
    base: Any = None
    """A normal in whose units z = m + L u the components stand; None for those of z."""

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def log_shares(self, given: One) -> Float[Array, " c"]:
        """Log of the components' shares, which sum to one."""
        return jax.nn.log_softmax(self.share(read(self.trunk, given)))

    def sample_from(
        self, component: Int[Array, ""], given: One, *, key: PRNGKeyArray
    ) -> Float[Array, " dim"]:
        """One reparameterised draw of a component."""
        location, factor = (part[component] for part in self._parts(given))
        white = jax.random.normal(key, location.shape)
        return location + jnp.matmul(factor, white, precision=HIGHEST)

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw, of a component drawn by the shares."""
        which_key, key = streams(key, "full_mixture.which", "full_mixture.z")
        which = jax.random.categorical(which_key, self.log_shares(given))
        return self.sample_from(which, given, key=key)

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        location, factor = self._parts(given)
        inverted = jax.vmap(inverse)(factor)
        white = jnp.einsum("cij,cj->ci", inverted, value[None] - location, precision=HIGHEST)
        each = jax.vmap(_standard)(white) - jax.vmap(log_volume)(factor)
        return jax.nn.logsumexp(self.log_shares(given) + each)

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The mean."""
        location, _ = self._parts(given)
        return jnp.exp(self.log_shares(given)) @ location

    def _parts(self, given: One) -> tuple[Float[Array, "c d"], Float[Array, "c d d"]]:
        """Means and factors of all components."""
        h = read(self.trunk, given)
        heads = (self.location, self.log_scale, self.below)
        location, log_scale, below = (head(h).reshape(self.components, -1) for head in heads)
        factor = jax.vmap(_factor)(log_scale, below)
        if self.base is None:
            return location, factor
        shift, stretch, _ = affine(self.base, given)
        location = shift[None] + jnp.matmul(location, stretch.T, precision=HIGHEST)
        return location, jnp.einsum("ij,cjk->cik", stretch, factor, precision=HIGHEST)


def affine(base: Any, given: One) -> Affine:
    """The map z = m + L u by which a normal makes its draws of u ~ N(0, I).

    Raises:
        UsageError: It is no normal.
    """
    if isinstance(base, FullNormal):
        return base.affine(given)
    if isinstance(base, DiagonalNormal) and not base.unit_mean:
        location, scale = base.parameters(given)
        return location, jnp.diag(scale), jnp.diag(1 / scale)
    raise UsageError(
        "expected a first posterior of the kind 'normal' or 'full_covariance' to whiten by, "
        f"got {type(base).__name__}"
    )


def log_volume(factor: Float[Array, "dim dim"]) -> Float[Array, ""]:
    """Log of the factor by which a triangular matrix with positive diagonal stretches volumes."""
    return jnp.sum(jnp.log(jnp.diagonal(factor)))


def _factor(log_scale: Float[Array, " dim"], below: Any) -> Float[Array, "dim dim"]:
    """diag(s) (I + N)."""
    d = log_scale.shape[0]
    rows, columns = np.tril_indices(d, -1)
    unit = jnp.eye(d, dtype=log_scale.dtype).at[rows, columns].set(below)
    return jnp.exp(log_scale)[:, None] * unit


def _standard(white: Float[Array, " dim"]) -> Float[Array, ""]:
    return -0.5 * (jnp.sum(white**2) + math.log(2 * math.pi) * white.shape[0])
