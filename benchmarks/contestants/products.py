"""The matrix products that no implementation can avoid: the floor under every timing.

One training step multiplies through the decoder on k x batch rows (forward, gradient of the
input, gradient of the weights) and through the encoder on batch rows (the same, less the gradient
of the data). One likelihood multiplies forward through the decoder on the number of draws.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from benchmarks.contestants import Block, Done
from benchmarks.sizes import COUPLING, Sizes, binary_data, first_weights

Weights = list[Float[Array, "rows columns"]]
Rows = Float[Array, "batch columns"]
Product = tuple[Callable[[Array, Array], Array], Array, Array]


def train(sizes: Sizes, variant: str) -> Block:
    encoder, decoder = (_weights(layers) for layers in first_weights(sizes))
    x = jnp.asarray(binary_data(sizes)[: sizes.batch])
    z = jax.random.normal(jax.random.key(0), (sizes.k * sizes.batch, sizes.latent))
    if variant == "one_by_one":
        return _one_by_one(
            _all_products(encoder, x, first=True) + _all_products(decoder, z, first=False)
        )

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        encoder, decoder, x, z = carry
        encoder, _unused = _there_and_back(encoder, x, first=True)
        decoder, dz = _there_and_back(decoder, z, first=False)
        return (encoder, decoder, x, z + COUPLING * dz), None

    return scanned(step, (encoder, decoder, x, z))


def likelihood(sizes: Sizes, variant: str) -> Block:
    decoder = _weights(first_weights(sizes)[1])
    z = jax.random.normal(jax.random.key(0), (sizes.draws, sizes.latent))
    if variant == "one_by_one":
        return _one_by_one(_forward_products(decoder, z))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        z, logits = carry
        z = z + COUPLING * logits[:, : sizes.latent]
        # The whole output is carried: no loop pass may compute less than all of it.
        return (z, _forward(decoder, z)[-1]), None

    return scanned(step, (z, _forward(decoder, z)[-1]))


def _weights(layers: list) -> Weights:
    return [jnp.asarray(weight) for weight, _bias in layers]


def _forward(weights: Weights, rows: Rows) -> list[Rows]:
    """The input of each layer, then the output."""
    values = [rows]
    for weight in weights:
        values.append(values[-1] @ weight)
    return values


def _there_and_back(weights: Weights, rows: Rows, *, first: bool) -> tuple[Weights, Rows]:
    """Weights after a tiny step, and the gradient at the input (zero rows if it is the data)."""
    *inputs, gradient = _forward(weights, rows)
    moved = []
    for depth, (weight, value) in reversed(list(enumerate(zip(weights, inputs, strict=True)))):
        moved.insert(0, weight + COUPLING * (value.T @ gradient))
        if depth > 0 or not first:
            gradient = gradient @ weight.T
    return moved, gradient


def _forward_products(weights: Weights, rows: Rows) -> list[Product]:
    values = _forward(weights, rows)
    return [(_plain, value, weight) for value, weight in zip(values[:-1], weights, strict=True)]


def _all_products(weights: Weights, rows: Rows, *, first: bool) -> list[Product]:
    """Every product of `_there_and_back`, with operands of the same layout."""
    values = _forward(weights, rows)
    products = _forward_products(weights, rows)
    for depth, weight in enumerate(weights):
        gradient = values[depth + 1]
        products.append((_left_transposed, values[depth], gradient))
        if depth > 0 or not first:
            products.append((_right_transposed, gradient, weight))
    return products


@jax.jit
def _plain(left: Array, right: Array) -> Array:
    return left @ right


@jax.jit
def _left_transposed(left: Array, right: Array) -> Array:
    return left.T @ right


@jax.jit
def _right_transposed(left: Array, right: Array) -> Array:
    return left @ right.T


def scanned(step: Callable, carry: Any) -> Block:
    """Steps in one compiled scan, each from where the last one ended."""
    state = [carry]
    run = jax.jit(lambda c, n: jax.lax.scan(step, c, None, length=n)[0], static_argnums=1)

    def block(n: int) -> Done:
        state[0] = jax.block_until_ready(run(state[0], n))
        return Done(n, None)

    return block


def _one_by_one(products: list[Product]) -> Block:
    def block(n: int) -> Done:
        for _ in range(n):
            for multiply, left, right in products:
                jax.block_until_ready(multiply(left, right))
        return Done(n, None)

    return block
