"""The convolution against JAX's own, with all derivatives, under every kind of map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.networks.convolve import convolve

RNG = np.random.default_rng(0)


def drawn(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def plain(x, kernel):
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)


def close(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def derivatives(f):
    """The value, both gradients, and a directional derivative of them."""

    def loss(x, kernel):
        return jnp.sum(jnp.tanh(f(x, kernel)))

    gradient = jax.grad(loss, (0, 1))

    def all_of(x, kernel):
        pair = x, kernel
        return f(x, kernel), gradient(x, kernel), jax.jvp(gradient, pair, pair)[1]

    return all_of


@pytest.mark.parametrize("side", [1, 3, 5])
def test_it_is_that_of_jax_with_its_derivatives(side):
    x, kernel = drawn(4, 6, 5, 3), 0.2 * drawn(side, side, 3, 2)
    close(derivatives(convolve)(x, kernel), derivatives(plain)(x, kernel))


@pytest.mark.parametrize(
    ("axes", "of_x", "of_kernel"),
    [
        ((0, None), (3, 2, 6, 5, 3), (3, 3, 3, 2)),
        ((None, 0), (2, 6, 5, 3), (3, 3, 3, 3, 2)),
        ((0, 0), (3, 2, 6, 5, 3), (3, 3, 3, 3, 2)),
        ((2, 3), (2, 6, 3, 5, 3), (3, 3, 3, 3, 2)),
    ],
)
def test_maps_over_images_and_kernels(axes, of_x, of_kernel):
    x, kernel = drawn(*of_x), 0.2 * drawn(*of_kernel)
    close(
        jax.jit(jax.vmap(derivatives(convolve), axes))(x, kernel),
        jax.vmap(derivatives(plain), axes)(x, kernel),
    )


def test_a_kernel_that_all_items_share_has_one_gradient_and_not_one_each():
    x, kernel = drawn(50, 4, 6, 6, 3), drawn(3, 3, 3, 2)

    def loss(kernel):
        each = jax.vmap(jax.vmap(lambda x: jnp.sum(convolve(x[None], kernel) ** 2)))
        return jnp.sum(each(x))

    traced = str(jax.make_jaxpr(jax.grad(loss))(kernel))
    assert "3,6,6,200" in traced  # the items of both maps are summed within one convolution
    assert "50,3,3" not in traced
    close(
        jax.grad(loss)(kernel),
        jax.grad(lambda k: jnp.sum(plain(x.reshape(200, 6, 6, 3), k) ** 2))(kernel),
    )
