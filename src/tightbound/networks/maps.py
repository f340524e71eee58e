"""Networks between stochastic layers that are maps: a position of a layer has its own latents.

Sonderby et al. 2016, arXiv 1602.02282 (ladders); Kingma et al. 2016, arXiv 1606.04934, section 5
(latents as maps, with residual blocks between them). There a layer is given all layers above; here
the one above, so that the layers are a Markov chain.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.networks.convolutional import (
    MOST,
    Convolution,
    Images,
    Residual,
    doubled,
)
from tightbound.networks.dense import ACTIVATIONS


class Maps(NamedTuple):
    """What the networks of a ladder are made for: layer l + 1 is a map at half the size of l."""

    levels: tuple[Images, ...]
    """What each layer's features are made of, and how: the item, and then the features below."""
    channels: tuple[int, ...]
    """Latents of each position, bottom layer first."""

    @staticmethod
    def of(
        item: tuple[int, ...],
        channels: list[int],
        hidden: tuple[int, ...] | None,
        activation: str,
    ) -> "Maps":
        """For items of that shape, with so many channels of latents in each layer.

        Raises:
            UsageError: Items that are no images or are too small, or not as many sizes as layers.
        """
        hidden = (MOST,) * len(channels) if hidden is None else hidden
        if len(hidden) != len(channels):
            raise UsageError(
                f"network='ladder' halves an image once for each layer: expected {len(channels)} "
                f"entries of hidden for layers={len(channels)}, got {list(hidden)}"
            )
        whole = Images.of(item, hidden, activation)
        depths = (whole.shape[2], *hidden)
        levels = tuple(
            Images((*whole.sides[level], depths[level]), (hidden[level],), activation)
            for level in range(len(hidden))
        )
        at_bottom = levels[0]._replace(maps=channels[0])
        return Maps((at_bottom, *levels[1:]), tuple(channels))

    @property
    def sizes(self) -> list[int]:
        """Latents of each layer."""
        both = zip(self.levels, self.channels, strict=True)
        return [math.prod(images.sides[1]) * n for images, n in both]

    def between(self, level: int, *, features: bool) -> "Between":
        """For the conditional of a layer that is given the one above, or features, or both."""
        images, above = self.levels[level], None
        if level + 1 < len(self.levels):
            above = (*self.levels[level + 1].sides[1], self.channels[level + 1])
        shape = (*images.sides[1], images.channels[0])
        return Between(shape, above, features, self.channels[level], images.activation)


class Between(NamedTuple):
    """What the network of one conditional is made for."""

    shape: tuple[int, int, int]
    """Height, width and channels within."""
    above: tuple[int, int, int] | None
    """Those of the layer above; None at the top."""
    features: bool
    """Whether features of the datum come before it."""
    latents: int
    """Of each position of the layer."""
    activation: str

    def decoder(self, n_in: int, n_out: int, *, inside: bool, key: PRNGKeyArray) -> "BetweenMaps":
        """From a vector to `n_out` numbers, as many for each position; all zeros at first."""
        del n_in, inside
        height, width, channels = self.shape
        lift_key, block, last = streams(key, "maps.lift", "maps.block", "maps.last")
        lift = None
        if self.above is not None:
            lift = Convolution.glorot(self.above[2], 4 * channels, key=lift_key)
        each = n_out // (height * width)
        return BetweenMaps(
            lift,
            Residual.of(channels, self.activation, block),
            Convolution.glorot(channels, each, gain=0.0, key=last),
            *self,
        )


class BetweenMaps(eqx.Module):
    """Parameters of a map of latents, from features of the same size and the map above.

    They are zero at first: q and p of every layer begin as one and the same law.
    """

    lift: Convolution | None
    block: Residual
    last: Convolution
    shape: tuple[int, int, int] = eqx.field(static=True)
    above: tuple[int, int, int] | None = eqx.field(static=True)
    features: bool = eqx.field(static=True)
    latents: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __call__(self, given: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """All parameters, one behind the other, for one vector."""
        height, width, _ = self.shape
        n = math.prod(self.shape) if self.features else 0
        x = given[:n].reshape(self.shape) if n else jnp.zeros(self.shape, given.dtype)
        if self.lift is not None and self.above is not None:
            x = x + doubled(self.lift(given[n:].reshape(self.above)), (height, width))
        x = self.last(ACTIVATIONS[self.activation](self.block(x)))
        return jnp.ravel(jnp.moveaxis(x.reshape(height, width, -1, self.latents), 2, 0))
