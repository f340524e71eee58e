"""The convolutions that one training step on images cannot avoid: the floor under its timings."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from benchmarks.contestants import Block
from benchmarks.contestants.products import scanned
from benchmarks.sizes import COUPLING, Sizes, first_convolutions
from tightbound.networks.convolve import convolve

Pair = tuple[Float[Array, "n h w n_in"], Float[Array, "3 3 n_in n_out"]]


def images(sizes: Sizes, variant: str) -> Block:
    """Each forward, and the gradients of its input and of its kernel, on maps of the right sizes.

    The gradient of the data, which no step needs, is left out.
    """
    del variant
    encoder, decoder = first_convolutions(sizes)
    halves = [sizes.side // 2 ** (level + 1) for level in range(len(sizes.channels))]
    pairs = _pairs(sizes, encoder[:-2], halves) + _pairs(sizes, decoder[1:], halves[::-1])

    def step(carry: list[Pair], _: None) -> tuple[list[Pair], None]:
        return [_moved(x, kernel, data=not at) for at, (x, kernel) in enumerate(carry)], None

    return scanned(step, pairs)


def _pairs(sizes: Sizes, layers: list, sides: list[int]) -> list[Pair]:
    """Maps of normal noise and kernels, three at each size."""
    found = []
    for at, (weight, bias) in enumerate(layers):
        kernel = jnp.asarray(weight).reshape(3, 3, -1, len(bias))
        shape = (sizes.batch, sides[at // 3], sides[at // 3], kernel.shape[2])
        found.append((jax.random.normal(jax.random.key(at), shape), kernel))
    return found


def _moved(x: Array, kernel: Array, *, data: bool) -> Pair:
    """Both after a tiny step along their gradients, so that no pass of a loop may be left out."""
    if data:
        y, back = jax.vjp(lambda kernel: convolve(x, kernel), kernel)
        return x, kernel + COUPLING * back(y)[0]
    y, back = jax.vjp(convolve, x, kernel)
    of_x, of_kernel = back(y)
    return x + COUPLING * of_x, kernel + COUPLING * of_kernel
