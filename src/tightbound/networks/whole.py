"""Networks that give the parameters of a distribution themselves, and dense heads for the others.

A convolutional decoder ends in an image: a dense layer behind it would have more weights than all
the rest (784 x 784 for one on MNIST) and undo what convolutions are for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Given, One
from tightbound.networks.condition import WithCondition
from tightbound.networks.convolutional import Images
from tightbound.networks.dense import MLP, Dense, FixedDense, flat
from tightbound.networks.fixed import Fixed
from tightbound.networks.holes import AbstractReader, Reshaped, read
from tightbound.networks.maps import Between

Trunk = Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
"""From one item to features."""


class Whole(AbstractReader):
    """A network whose output is the parameters of a distribution: no head is put behind it.

    What it gives for one item, an array of any shape or a tree of them, is laid flat in row-major
    order and cut into one piece per parameter, in the order in which the distribution names them:
    (28, 28) or (1, 28, 28) for the logits of 784 pixels, (2, 28, 28) or a pair of (28, 28) for
    their means and log-scales. Parameters are free numbers, mapped as a dense head's would be.
    """

    network: Callable[[Float[Array, " n_in"]], Any]

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """All parameters for one item, flat."""
        return flat(read(self.network, given))


class Piece(eqx.Module):
    """The entries of a vector from `start` until `stop`: one parameter of a `Whole` network's."""

    start: int = eqx.field(static=True)
    stop: int = eqx.field(static=True)

    def __call__(self, h: Float[Array, " n_h"]) -> Float[Array, " n_out"]:
        """The piece of one item's vector."""
        return h[self.start : self.stop]


class Shifted(eqx.Module):
    """A parameter that starts at given numbers, to which its piece of the output is added."""

    piece: Piece
    start: Fixed

    def __call__(self, h: Float[Array, " n_h"]) -> Float[Array, " n_out"]:
        """The parameter for one item's vector."""
        return self.piece(h) + self.start.values


def reshaped(network: Trunk, shape: tuple[int, ...]) -> Trunk:
    """The network, for items of that shape that come as one vector each."""
    if isinstance(network, Whole):
        return Whole(Reshaped(network.network, shape))
    return Reshaped(network, shape)


Head = Dense | FixedDense | Piece | Shifted
"""What gives one parameter of a distribution."""


class Body(NamedTuple):
    """What the network of a conditional is made from: sizes of a perceptron, or one of your own."""

    n_in: int
    hidden: tuple[int, ...]
    activation: str = "tanh"
    own: Trunk | None = None
    condition: int = 0
    """How many numbers of a condition come with those that it is given."""
    together: Callable[[Any, Any], Any] = Given
    """Both as one, if there is a condition."""
    images: Images | Between | None = None
    """For a convolutional decoder that gives the parameters of each pixel or position itself."""

    def build(
        self,
        sizes: Mapping[str, int],
        key: PRNGKeyArray,
        heads: Sequence[PRNGKeyArray],
        *,
        inside: bool = False,
    ) -> tuple[Trunk, tuple[Head, ...]]:
        """A trunk, and a head for each parameter.

        Args:
            sizes: How many numbers each parameter has, by its name.
            key: Of the trunk's first weights.
            heads: Of the heads', one key each.
            inside: Whether a parameter has several numbers for each value of an item, side by side.

        Raises:
            UsageError: A network of one's own that does not take one item, or whose output is no
                vector of features, or, for a `Whole` one, not as many numbers as are needed.
        """
        if self.images is not None and self.own is None:
            n_in, total = self.n_in + self.condition, sum(sizes.values())
            own = Whole(self.images.decoder(n_in, total, inside=inside, key=key))
            return own, self._pieces(own, sizes)
        if isinstance(self.own, Whole):
            return self.own, self._pieces(self.own, sizes)
        if self.own is None:
            n_in = self.n_in + self.condition
            trunk = MLP.glorot(n_in, self.hidden, activation=self.activation, key=key)
            trunk = WithCondition(trunk) if self.condition else trunk
            width = (n_in, *self.hidden)[-1]
        else:
            trunk, shape = self.own, getattr(self._output(self.own), "shape", None)
            if shape is None or len(shape) != 1:
                raise UsageError(
                    f"expected your network to map one item of shape ({self.n_in},) to a vector of "
                    f"features, got an output of shape {shape}; if it gives the parameters of the "
                    "distribution, pass it as tb.networks.Whole(network)"
                )
            (width,) = shape
        dense = (Dense.glorot(width, n, key=k) for n, k in zip(sizes.values(), heads, strict=True))
        return trunk, tuple(dense)

    def width(self, trunk: Trunk) -> int:
        """How many features the trunk that it built gives."""
        return math.prod(self._output(trunk).shape)

    def _pieces(self, own: Whole, sizes: Mapping[str, int]) -> tuple[Piece, ...]:
        shapes = [leaf.shape for leaf in jax.tree.leaves(self._output(own.network))]
        given = sum(math.prod(shape) for shape in shapes)
        needed = sum(sizes.values())
        if given != needed:
            listed = ", ".join(f"{n} for {name}" for name, n in sizes.items())
            got = " and ".join(map(str, shapes)) or "nothing"
            raise UsageError(
                f"expected your whole network to give {needed} numbers for one item of shape "
                f"({self.n_in},) ({listed}), got {given} in an output of shape {got}"
            )
        ends = accumulate(sizes.values())
        return tuple(Piece(end - n, end) for end, n in zip(ends, sizes.values(), strict=True))

    def _output(self, network: Callable[..., Any]) -> Any:
        """What a network gives for one item, as shapes."""
        item: Any = jax.ShapeDtypeStruct((self.n_in,), jnp.float32)
        if self.condition:
            beside = jax.ShapeDtypeStruct((self.condition,), jnp.float32)
            item = self.together(item, beside)
        try:
            return eqx.filter_eval_shape(lambda given: read(network, given), item)
        except (TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"expected your network to take one item of shape ({self.n_in},), a row of the "
                f"table that it may reshape; it says: {reason}"
            ) from error
