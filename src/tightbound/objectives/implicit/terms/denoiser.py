"""Scores of densities that are known by draws alone: by a denoiser.

Reference: Huszar 2017, arXiv 1702.08235; Sonderby et al. 2016, arXiv 1610.04490, eq. 12; Vincent
2011, Neural Comput. 23(7) (denoising and the score).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import each_stream, streams
from tightbound.networks import ConvolutionalMap, Joined, flat
from tightbound.objectives.contract import Params
from tightbound.objectives.implicit.terms.abstract import (
    AbstractTerm,
    Batch,
    Sizes,
    Z,
    drawn,
    seen,
    shown,
)
from tightbound.objectives.implicit.terms.moments import Moments


class Denoising(NamedTuple):
    """A denoiser's network, and the normal that it is relative to, unless that is q's."""

    network: Any
    moments: Any


class Denoiser(AbstractTerm):
    """The score of the density of noised draws, by denoising: a function with that gradient.

    With noise of standard deviation sigma * scale(x) in each direction the best denoiser F has
    (F(z, x) - z) / (sigma scale)^2 = d log (p * noise)(z|x), exactly and at any sigma; the scale is
    that of q, whosever draws are noised. The network gives that score relative to the one of a
    normal with the draws' own moments, which pulls back where the network has seen nothing. `of`
    names the draws: "q", "joint" (z of the model given its x) or "prior".
    """

    of: str = eqx.field(static=True)
    sign: float = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    sigma: Float[Array, ""]

    def with_noise(self, noise: Float[Array, ""]) -> "Denoiser":
        """The same at another sigma."""
        return eqx.tree_at(lambda term: term.sigma, self, noise)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Denoising:
        """The network of the standardised z, and of x; of the prior, of the scale in its place."""
        first, second = streams(key, "denoiser.network", "denoiser.moments")
        network: Joined | ConvolutionalMap
        if self.of == "prior" and sizes.images is not None:
            network = sizes.images.same(2 * sizes.z, key=first)
        elif self.of == "prior":
            network = Joined.glorot(2 * sizes.z, self.hidden, sizes.z, key=first)
        else:
            network = sizes.network(self.hidden, sizes.z, first, z=sizes.z)
        if self.of == "q":
            return Denoising(network, None)
        of = Sizes(0, sizes.z) if self.of == "prior" else sizes
        return Denoising(network, Moments.build(of, self.hidden, second))

    def score(self, aux: Denoising, x: Float[Array, "n *item"], z: Z, centre: Z, scale: Z) -> Z:
        """The score of the noised density, times q's scale."""
        own, given = (centre, scale), seen(x)
        if self.of == "joint":
            own = aux.moments.at(x)
        elif self.of == "prior":
            own, given = aux.moments.at(x[:, :0]), jnp.log(scale)
        spread = jnp.sqrt(own[1] ** 2 + (self.sigma * scale) ** 2)
        u = (z - own[0]) / spread
        return scale / spread * (jax.vmap(aux.network)(given, u) - u)

    def loss(self, aux: Denoising, params: Params, batch: Batch) -> Float[Array, ""]:
        """Mean of ||sigma s + eta||^2 over noise eta and -eta, which cancels most of its noise."""
        x, z = drawn(self.of, params, batch, each_stream(batch.keys, "denoiser.draws"))
        z = jax.vmap(flat)(z)
        # The scale belongs to the x that the draws come with.
        centre, scale = batch.moments(x) if self.of == "joint" else (batch.centre, batch.scale)
        eta = jax.vmap(lambda key, z: jax.random.normal(key, z.shape, z.dtype))(
            each_stream(batch.keys, "denoiser.noise"), z
        )
        losses = []
        for sign in (1.0, -1.0):
            noised = z + sign * self.sigma * scale * eta
            s = self.score(aux, x, noised, centre, scale)
            losses.append(jnp.mean(jnp.sum((self.sigma * s + sign * eta) ** 2, axis=1)))
        if aux.moments is not None:
            losses.append(2 * aux.moments.loss(x if self.of == "joint" else x[:, :0], z))
        return 0.5 * jnp.sum(jnp.stack(losses))

    def climbed(self, aux: Denoising, params: Params, batch: Batch) -> Float[Array, " n"]:
        """A function with the score as its gradient at the noised draws, zero in value."""
        z = jax.vmap(flat)(batch.z)
        fixed = jax.lax.stop_gradient(z)
        s = self.score(aux, shown(params, batch), fixed, batch.centre, batch.scale) / batch.scale
        return self.sign * jnp.sum(jax.lax.stop_gradient(s) * (z - fixed), axis=1)
