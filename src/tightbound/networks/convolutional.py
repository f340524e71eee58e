"""Networks of images: convolutions, residual blocks, and sizes that are halved or doubled.

All convolutions have unit stride and zeros around the image. An image is halved by taking each
square of 2 x 2 pixels for one with four times the channels, and doubled by the inverse: a
convolution of 3 x 3 taps beside either is one of 6 x 6 taps and stride 2, whose gradient is as fast
as that of the others.

He, Zhang, Ren & Sun 2016, arXiv 1603.05027 (residual blocks that begin with the activation); Shi et
al. 2016, arXiv 1609.05158 (images doubled by their channels); Zhang, Dauphin & Ma 2019, arXiv
1901.09321 (blocks that begin as the identity, in place of normalisation).
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One, condition, values
from tightbound.core.streams import first_keys, numbered, stream, streams
from tightbound.networks.convolve import convolve
from tightbound.networks.dense import ACTIVATIONS, Dense, flat
from tightbound.networks.holes import AbstractReader
from tightbound.networks.layer import AbstractLayer, glorot

LEAST_SIDE = 4
"""Pixels below which an image is not halved by default."""
FIRST, MOST = 32, 64
"""Channels at the largest and at smaller sizes by default."""
TAPS = 3
BLOCKS = 3
"""Residual blocks of a network from an image to one of the same size."""
MOST_CHANNELS = 4
"""Of an item of shape (height, width, channels)."""

Image = Float[Array, "h w c"]


class Convolution(AbstractLayer):
    """An affine map of each pixel's neighbourhood, the same everywhere; zeros lie outside.

    The weight is a matrix of (3 x 3 taps x channels in, channels out), rows by rows of taps.
    """

    weight: Float[Array, "taps_in n_out"]
    bias: Float[Array, " n_out"]
    gain: float = eqx.field(static=True, default=1.0)
    """What Glorot's rule is multiplied by; 0 for a block that begins as the identity."""
    spread: float | None = eqx.field(static=True, default=None)

    @staticmethod
    def glorot(n_in: int, n_out: int, *, gain: float = 1.0, key: PRNGKeyArray) -> "Convolution":
        """Weights by Glorot's rule, zero bias."""
        weight = glorot(TAPS**2 * n_in, n_out, taps=TAPS**2, gain=gain, key=key)
        return Convolution(weight, jnp.zeros(n_out), gain)

    def by_rule(self, key: PRNGKeyArray) -> "Convolution":
        """By Glorot's rule, times the gain."""
        weight = glorot(*self.weight.shape, taps=TAPS**2, gain=self.gain, key=key)
        return Convolution(weight, self.bias, self.gain)

    def __call__(self, x: Float[Array, "h w n_in"]) -> Float[Array, "h w n_out"]:
        """The map of one image."""
        kernel = self.weight.reshape(TAPS, TAPS, -1, self.bias.shape[0])
        return convolve(x[None], kernel)[0] + self.bias[None, None]


class Residual(eqx.Module):
    """X + conv(act(conv(act(x)))), which begins as the identity."""

    first: Convolution
    second: Convolution
    activation: str = eqx.field(static=True)

    @staticmethod
    def of(channels: int, activation: str, key: PRNGKeyArray) -> "Residual":
        """A block of so many channels."""
        one, two = first_keys(key, 2)
        return Residual(
            Convolution.glorot(channels, channels, key=one),
            Convolution.glorot(channels, channels, gain=0.0, key=two),
            activation,
        )

    def __call__(self, x: Image) -> Image:
        """The block's output for one image."""
        act = ACTIVATIONS[self.activation]
        return x + self.second(act(self.first(act(x))))


class Images(NamedTuple):
    """What convolutional networks are made for: the shape of an item, and the channels within."""

    shape: tuple[int, int, int]
    """Height, width and channels of an item."""
    channels: tuple[int, ...]
    """Of each size from the largest to the smallest; the largest is half of the item's."""
    activation: str
    maps: int | None = None
    """Channels of the map that a decoder is given; None for a vector."""

    @staticmethod
    def of(
        item: tuple[int, ...], channels: tuple[int, ...] | None, activation: str = "silu"
    ) -> "Images":
        """For items of that shape; by default an image is halved while its sides have 8 pixels.

        Raises:
            UsageError: Items that are no images, or images that cannot be halved so often.
        """
        if len(item) not in (2, 3) or (len(item) == 3 and item[2] > MOST_CHANNELS):
            raise UsageError(
                "network='conv' is for images: expected items of shape (height, width) or (height, "
                f"width, channels) with up to {MOST_CHANNELS} channels, got {item}"
            )
        side = min(item[:2])
        if channels is None:
            halvings = max(1, int(math.log2(max(side, 2) / LEAST_SIDE) + 1e-9))
            channels = tuple(min(FIRST * 2**i, MOST) for i in range(halvings))
        if side < 2 ** len(channels):
            raise UsageError(
                f"network='conv' halves an image once for each entry of hidden: expected sides of "
                f"{2 ** len(channels)} pixels or more for hidden={list(channels)}, got {item[:2]}"
            )
        return Images((item[0], item[1], item[2] if len(item) == 3 else 1), channels, activation)

    @property
    def size(self) -> int:
        """Numbers of an item."""
        return math.prod(self.shape)

    @property
    def sides(self) -> tuple[tuple[int, int], ...]:
        """Height and width of the item, and after each halving."""
        return _sides(self.shape, len(self.channels))

    def encoder(
        self, n_in: int, *, condition: int = 0, masked: bool = False, key: PRNGKeyArray
    ) -> "ConvolutionalEncoder":
        """From an item, or several numbers for each of its values, to features."""
        groups = n_in // self.size + masked
        widths = (groups * self.shape[2] + condition, *self.channels)
        layers = []
        for level, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            halving, block = streams(numbered(key, level), "conv.halving", "conv.down.block")
            layers.append(
                (
                    Convolution.glorot(4 * before, after, key=halving),
                    Residual.of(after, self.activation, block),
                )
            )
        return ConvolutionalEncoder(tuple(layers), self.shape, self.activation, masked)

    def decoder(
        self, n_in: int, n_out: int, *, inside: bool, key: PRNGKeyArray
    ) -> "ConvolutionalDecoder":
        """From a vector to `n_out` numbers, as many for each value of an item.

        Args:
            n_in: Length of the vector.
            n_out: A multiple of the item's size.
            inside: Whether the numbers of one value stand side by side in the output, or else
                behind all others' first ones.
            key: Of the first weights.
        """
        each = n_out // self.size
        (height, width), top = self.sides[-1], self.channels[-1]
        start_key = stream(key, "conv.start")
        if self.maps is None:
            start = Dense.glorot(n_in, height * width * top, key=start_key)
        else:
            beside = n_in - height * width * self.maps
            layer = Convolution.glorot(self.maps + beside, top, key=start_key)
            start = FromMap(layer, (height, width, self.maps))
        widths = (each * self.shape[2], *self.channels)
        layers = []
        for level in range(len(self.channels), 0, -1):
            block, doubling = streams(numbered(key, level), "conv.up.block", "conv.doubling")
            before, after = widths[level], widths[level - 1]
            layers.append(
                (
                    Residual.of(before, self.activation, block),
                    Convolution.glorot(before, 4 * after, key=doubling),
                )
            )
        return ConvolutionalDecoder(start, tuple(layers), self.shape, self.activation, inside)

    def same(self, n_in: int, *, key: PRNGKeyArray) -> "ConvolutionalMap":
        """From several numbers for each value of an item to one, at the item's own size."""
        first, *blocks = first_keys(key, 1 + BLOCKS)
        inner, channels = self.channels[0], self.shape[2]
        return ConvolutionalMap(
            Convolution.glorot(n_in // self.size * channels, inner, key=first),
            tuple(Residual.of(inner, self.activation, block) for block in blocks),
            Convolution(jnp.zeros((TAPS**2 * inner, channels)), jnp.zeros(channels), gain=0.0),
            self.shape,
            self.activation,
        )


class ConvolutionalMap(AbstractReader):
    """From an image, or several numbers for each of its values, to an image of the same size.

    It begins at zero everywhere.
    """

    first: Convolution
    blocks: tuple[Residual, ...]
    last: Convolution
    shape: tuple[int, int, int] = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __call__(self, *given: Any) -> Float[Array, " n"]:
        """All numbers of the image, for those of one or several whole images."""
        x = self.first(_channels(flat(given), self.shape))
        for block in self.blocks:
            x = block(x)
        return jnp.ravel(self.last(ACTIVATIONS[self.activation](x)))


class ConvolutionalEncoder(AbstractReader):
    """Features of an image, which is halved again and again, with a residual block at each size.

    It is given the image's numbers in one vector, or several of them for each value, one whole
    image behind the other. A mask and a condition are further channels.
    """

    layers: tuple[tuple[Convolution, Residual], ...]
    shape: tuple[int, int, int] = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    masked: bool = eqx.field(static=True)
    """Whether it sees which values are known."""

    def __call__(self, given: One) -> Float[Array, " n_h"]:
        """The features of one datum."""
        height, width, _ = self.shape
        seen = [values(given)]
        if self.masked:
            observed = given.observed if isinstance(given, Datum) else None
            known = jnp.ones(math.prod(self.shape)) if observed is None else jnp.ravel(observed)
            seen.append(known.astype(seen[0].dtype))
        x = _channels(flat(seen), self.shape)
        beside = condition(given)
        if beside is not None:
            x = jnp.concatenate([x, jnp.broadcast_to(beside, (height, width, beside.size))], axis=2)
        act = ACTIVATIONS[self.activation]
        for number, (halving, block) in enumerate(self.layers):
            x = block(halving(halved(act(x) if number else x)))
        return jnp.ravel(act(x))


class FromMap(eqx.Module):
    """A map of latents, with a condition at each of its positions, through a convolution."""

    convolution: Convolution
    shape: tuple[int, int, int] = eqx.field(static=True)

    def __call__(self, given: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Channels of all positions, for the map's numbers with those of the condition behind."""
        height, width, _ = self.shape
        of_map, beside = jnp.split(given, [math.prod(self.shape)])
        everywhere = jnp.broadcast_to(beside, (height, width, beside.size))
        x = jnp.concatenate([of_map.reshape(self.shape), everywhere], axis=2)
        return jnp.ravel(self.convolution(x))


class ConvolutionalDecoder(AbstractReader):
    """From a vector or a map to an image of parameters, which is doubled again and again."""

    start: Dense | FromMap
    layers: tuple[tuple[Residual, Convolution], ...]
    shape: tuple[int, int, int] = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    inside: bool = eqx.field(static=True)

    def __call__(self, given: Any) -> Float[Array, " n_out"]:
        """All parameters for one z, or for one with its condition."""
        beside = condition(given)
        numbers = [values(given), *([] if beside is None else [beside])]
        sides, act = _sides(self.shape, len(self.layers)), ACTIVATIONS[self.activation]
        x = self.start(flat(numbers)).reshape(*sides[-1], -1)
        for (block, doubling), size in zip(self.layers, sides[-2::-1], strict=True):
            x = doubled(doubling(act(block(x))), size)
        x = x.reshape(*sides[0], -1, self.shape[2])
        return jnp.ravel(jnp.moveaxis(x, 2, 3 if self.inside else 0))


def _channels(numbers: Float[Array, " n"], shape: tuple[int, int, int]) -> Image:
    """Whole images one behind the other as one with the channels of all."""
    height, width, channels = shape
    images = numbers.reshape(-1, height, width, channels)
    return jnp.moveaxis(images, 0, 2).reshape(height, width, -1)


def _sides(shape: tuple[int, int, int], halvings: int) -> tuple[tuple[int, int], ...]:
    """Height and width of an item, and after each halving."""
    found = [shape[:2]]
    for _ in range(halvings):
        found.append((-(-found[-1][0] // 2), -(-found[-1][1] // 2)))
    return tuple(found)


def halved(x: Image) -> Float[Array, "half_h half_w four_c"]:
    """Each square of 2 x 2 pixels as one with the channels of all; odd sides get zeros behind."""
    height, width, channels = x.shape
    x = jnp.pad(x, ((0, height % 2), (0, width % 2), (0, 0)))
    height, width = x.shape[0] // 2, x.shape[1] // 2
    squares = x.reshape(height, 2, width, 2, channels).transpose(0, 2, 1, 3, 4)
    return squares.reshape(height, width, 4 * channels)


def doubled(x: Image, size: tuple[int, int]) -> Float[Array, "double_h double_w fourth_c"]:
    """Each pixel as a square of 2 x 2 with a fourth of its channels, cut to that size."""
    height, width, channels = x.shape
    squares = x.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return squares.reshape(2 * height, 2 * width, channels // 4)[: size[0], : size[1]]
