"""Networks that give a distribution's parameters themselves: no head, and the right pieces."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import tightbound as tb
from tightbound.networks import Whole

IMAGES = np.random.default_rng(0).random((4, 784)).astype(np.float32)
ROWS = np.random.default_rng(1).random((5, 6)).astype(np.float32)


class Convolutional(eqx.Module):
    """From a latent vector to images of 28 x 28, one per channel."""

    spread: eqx.nn.Linear
    up: eqx.nn.ConvTranspose2d
    last: eqx.nn.ConvTranspose2d

    def __init__(self, latent, channels, *, key):
        keys = jax.random.split(key, 3)
        self.spread = eqx.nn.Linear(latent, 4 * 7 * 7, key=keys[0])
        self.up = eqx.nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, key=keys[1])
        self.last = eqx.nn.ConvTranspose2d(4, channels, 4, stride=2, padding=1, key=keys[2])

    def __call__(self, z):
        return self.last(jax.nn.relu(self.up(self.spread(z).reshape(4, 7, 7))))


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf))


def test_a_whole_decoder_has_its_own_parameters_and_no_others():
    decoder = Convolutional(2, 1, key=jax.random.key(0))
    model, _ = tb.autoencoder(IMAGES, latent=2, hidden=(3,), decoder=Whole(decoder))
    by_hand = (2 + 1) * 196 + (4 * 4 * 16 + 4) + (4 * 1 * 16 + 1)
    assert count(model) == count(decoder) == by_hand
    z, x = jnp.asarray([0.3, -1.0]), np.round(IMAGES[0])
    logits = np.asarray(decoder(z), np.float64).ravel()
    truth = stats.bernoulli.logpmf(x, special.expit(logits)).sum()
    np.testing.assert_allclose(model.likelihood.log_prob(jnp.asarray(x), z), truth, rtol=1e-5)


class Table(eqx.Module):
    """Numbers of a given shape, or two of them, whatever the input."""

    numbers: jax.Array
    parts: int = eqx.field(static=True, default=1)

    def __call__(self, x):
        shift = jnp.tanh(jnp.sum(x))
        return tuple(self.numbers + shift + i for i in range(self.parts))


@pytest.mark.parametrize("form", ["one array", "a pair"])
def test_means_and_log_scales_are_the_pieces_in_row_major_order(form):
    numbers = jnp.arange(12.0).reshape(2, 2, 3) / 10
    network = Table(numbers) if form == "one array" else Table(numbers[0], parts=2)
    model, _ = tb.autoencoder(
        ROWS, latent=2, hidden=(3,), likelihood="gaussian", decoder=Whole(network)
    )
    z = jnp.asarray([0.3, -1.0])
    first = np.arange(6.0) / 10 + np.tanh(-0.7)
    log_scale = first + (0.6 if form == "one array" else 1.0)
    truth = stats.norm.logpdf(ROWS[0], first, np.exp(log_scale)).sum()
    of_standardised = model.likelihood.likelihood
    np.testing.assert_allclose(of_standardised.mean(z), first, rtol=1e-5)
    found = of_standardised.log_prob(jnp.asarray(ROWS[0]), z)
    np.testing.assert_allclose(found, truth, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "numbers"), [("normal", 4), ("gamma", 4), ("bernoulli", 2), ("dirichlet", 2)]
)
def test_a_whole_encoder_gives_all_parameters_of_the_posterior(family, numbers):
    own = Table(jnp.linspace(-1.0, 1.0, numbers).reshape(1, numbers))
    options = {"latent": 2, "hidden": (3,), "posterior": family}
    _, posterior = tb.autoencoder(ROWS, encoder=Whole(own), **options)
    _, dense = tb.autoencoder(ROWS, **options)
    assert count(posterior) == numbers
    # The same as dense heads without weights whose biases are these numbers.
    x = jnp.asarray(ROWS[0])
    flat = np.linspace(-1.0, 1.0, numbers) + np.tanh(ROWS[0].sum())
    is_dense = lambda node: isinstance(node, tb.networks.Dense)  # noqa: E731
    trunk, heads = dense.trunk, eqx.tree_at(lambda q: q.trunk, dense, None)
    start = 0

    def constant(head):
        nonlocal start
        stop = start + head.bias.size
        bias = jnp.asarray(flat[start:stop], jnp.float32)
        start = stop
        return tb.networks.Dense(jnp.zeros_like(head.weight), bias)

    heads = jax.tree.map(lambda h: constant(h) if is_dense(h) else h, heads, is_leaf=is_dense)
    dense = eqx.tree_at(lambda q: q.trunk, heads, trunk, is_leaf=lambda node: node is None)
    assert start == numbers
    z = posterior.sample(x, key=jax.random.key(1))
    np.testing.assert_allclose(posterior.log_prob(z, x), dense.log_prob(z, x), rtol=1e-5)
    np.testing.assert_allclose(posterior.mean(x), dense.mean(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"decoder": Whole(lambda z: jnp.zeros((2, 4)))},
            r"to give 6 numbers for one item of shape \(2,\) \(6 for the logits\), got 8 in an "
            r"output of shape \(2, 4\)",
        ),
        (
            {"decoder": Whole(lambda z: jnp.zeros(6)), "likelihood": "gaussian"},
            r"to give 12 numbers .*\(6 for the mean, 6 for the log-scale\), got 6 in",
        ),
        ({"encoder": Whole(lambda x: jnp.zeros(3))}, r"to give 4 numbers .*\(6,\) .*, got 3"),
        ({"encoder": Whole(lambda x: None)}, "got 0 in an output of shape nothing"),
        ({"decoder": lambda z: jnp.zeros((2, 3))}, r"pass it as tb.networks.Whole\(network\)"),
        (
            {"encoder": eqx.nn.Conv2d(1, 1, 2, key=jax.random.key(0))},
            r"to take one item of shape \(6,\), .* it says: .*rank 3",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused_in_words(options, words):
    with pytest.raises(tb.UsageError, match=words):
        tb.autoencoder(ROWS, latent=2, hidden=(3,), **options)


def test_replicas_of_whole_networks_need_build():
    decoder = Whole(eqx.nn.Linear(2, 6, key=jax.random.key(0)))
    model, posterior = tb.autoencoder(ROWS, latent=2, hidden=(3,), decoder=decoder)
    with pytest.raises(tb.UsageError, match="pass build="):
        tb.fit(model, posterior, ROWS, objective="elbo()", epochs=1, batch_size=5, seeds=2)
