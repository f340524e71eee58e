"""Degraded data by enumeration of bits and by dense algebra of normals.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tests.oracles import linear_gaussian as oracle
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.distributions import BernoulliComponents, Categorical
from tightbound.distributions.restoration import BlockMeans
from tightbound.likelihoods.block_counts import (
    BinaryBlockMeans,
    drawn_given_count,
    log_counts,
    ones_given_count,
)
from tightbound.likelihoods.block_means import NormalBlockMeans
from tightbound.likelihoods.noised import Flipped, Noised
from tightbound.models import Model
from tightbound.models.shapes import like_z

PROBS = np.array([[0.9, 0.2, 0.5, 0.01], [1.0, 0.0, 0.3, 0.7], [1e-7, 0.99999, 1e-4, 0.5]]).T
"""Of four pixels of three squares."""
BITS = np.array(list(product((0, 1), repeat=4)))


def logs():
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(PROBS), jnp.float32), jnp.asarray(np.log1p(-PROBS), jnp.float32)


def masses(probs):
    """Of all 16 outcomes of four bits."""
    return np.prod(np.where(BITS == 1, probs, 1 - probs), axis=1)


def test_counts_are_those_of_all_outcomes():
    counts = np.exp(eqx.filter_jit(log_counts)(*logs()))
    for square, probs in enumerate(PROBS.T):
        expected = np.bincount(BITS.sum(axis=1), masses(probs), minlength=5)
        np.testing.assert_allclose(counts[-1, :, square], expected, rtol=2e-5, atol=1e-30)


@pytest.mark.stat
def test_pixels_given_their_count_are_those_of_all_outcomes():
    probs_given = eqx.filter_jit(ones_given_count)
    draw = eqx.filter_jit(jax.vmap(drawn_given_count, in_axes=(None, None, None, 0)))
    u = jax.random.uniform(jax.random.key(0), (4000, *PROBS.shape))
    for count in range(5):
        counts = jnp.full(3, count)
        found = np.asarray(probs_given(*logs(), counts))
        drawn = np.asarray(draw(*logs(), counts, u))
        for square, probs in enumerate(PROBS.T):
            mass = masses(probs) * (BITS.sum(axis=1) == count)
            if not mass.sum():
                continue
            expected = mass @ BITS / mass.sum()
            np.testing.assert_allclose(found[:, square], expected, rtol=2e-5, atol=1e-6)
            assert (drawn[:, :, square].sum(axis=1) == count).all()
            error = np.sqrt(expected * (1 - expected) / 4000) + 1e-3 / LIMIT
            off = drawn[:, :, square].mean(axis=0) - expected
            assert np.all(np.abs(off) < LIMIT * error)


def test_squares_come_back_as_the_image():
    degrade = BlockMeans((4, 6, 2), 2)
    z = jnp.arange(48.0)
    squares = degrade.squares(z)
    assert squares.shape == (4, 12)
    np.testing.assert_array_equal(degrade.joined(squares), z)
    image = np.arange(48.0).reshape(4, 6, 2)
    np.testing.assert_array_equal(squares[:, 0], image[:2, :2, 0].ravel())


def bits(seed=0, k=3, d=8):
    logits = np.random.default_rng(seed).normal(size=(k, d)) * 2
    return Model(
        Categorical(jnp.asarray([0.2, -0.5, 0.4][:k])),
        BernoulliComponents(jnp.asarray(logits, jnp.float32)),
    )


@pytest.mark.parametrize("observed", [True, False])
def test_flipped_bits_are_those_of_both_states(observed):
    model, e = bits(), 0.13
    flipped, z = Flipped(model.likelihood, (8,), e), jnp.eye(3)[1]
    y = jnp.asarray([0, 1, 1, 0, 1, 0, 0, 1], jnp.float32)
    known = jnp.full(8, observed)
    p = np.asarray(model.likelihood.mean(z), np.float64)
    given = np.where(y == 1, 1 - e, e) * p, np.where(y == 1, e, 1 - e) * (1 - p)
    each, clean, mean = eqx.filter_jit(
        lambda f: (f.log_prob_each(y, z), f.mean_clean(y, known, z), f.mean(z))
    )(flipped)
    np.testing.assert_allclose(np.exp(each), sum(given), rtol=1e-5)
    np.testing.assert_allclose(clean, given[0] / sum(given) if observed else p, rtol=1e-5)
    np.testing.assert_allclose(mean, p * (1 - e) + (1 - p) * e, rtol=1e-5)


def of_name(name):
    train = np.random.default_rng(0).random((30, 4)).astype(np.float32) * [1, 0.5, 0.2, 0.9]
    return tb.autoencoder(train.astype(np.float32), latent=2, hidden=(3,), likelihood=name)[0]


NAMES = (
    "gaussian", "gaussian_unit_mean", "gaussian_scalar", "gaussian_column",
    "gaussian_fixed(scale=0.1)",
)  # fmt: skip


def normals():
    yield from ((name, of_name(name)) for name in NAMES)
    yield "two layers", oracle.two_layer_model()


def test_moments_of_independent_normals_are_those_of_their_density():
    value = jnp.asarray([0.3, 0.1, 0.15, 0.7])
    for name, model in normals():
        shapes = like_z(model)
        z = jax.tree.map(lambda leaf: jnp.linspace(-1, 1, leaf.size), shapes)
        location, scale = model.likelihood.normal_each(z)
        found = model.likelihood.log_prob_each(value, z)
        expected = scipy.stats.norm.logpdf(value, location, scale)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.stat
@pytest.mark.parametrize("kind", ["noise", "squares"])
def test_normals_are_conditioned_as_by_dense_algebra(kind):
    rng = np.random.default_rng(1)
    scale = rng.uniform(0.3, 1.5, 8)
    model = tb.models.linear_gaussian(rng.normal(size=(8, 2)), rng.normal(size=8), scale)
    z, y_noise = jnp.asarray([0.7, -1.1]), 0.6
    location = np.asarray(model.likelihood.mean(z), np.float64)
    degrade = BlockMeans((2, 4, 1), 2)
    if kind == "noise":
        degraded = Noised(model.likelihood, (8,), y_noise)
        a, r = np.eye(8), y_noise**2 * np.eye(8)
    else:
        degraded = NormalBlockMeans(model.likelihood, degrade, (8,))
        a, r = np.asarray(jax.vmap(degrade, out_axes=1)(jnp.eye(8))), np.zeros((2, 2))
    y = jnp.asarray(rng.normal(size=len(a)), jnp.float32)
    known = jnp.asarray(np.arange(len(a)) != 1)  # the second entry is missing
    prior = np.diag(scale**2)
    of_y = a @ prior @ a.T + r
    seen = np.flatnonzero(known)
    gain = (prior @ a.T)[:, seen] @ np.linalg.inv(of_y[np.ix_(seen, seen)])
    mean = location + gain @ (np.asarray(y) - a @ location)[seen]
    left = prior - gain @ (a @ prior)[seen]

    @eqx.filter_jit
    def found(degraded, keys):
        draws = jax.vmap(lambda key: degraded.sample_clean(y, known, z, key=key))(keys)
        each = degraded.log_prob_each(y, z)
        return degraded.mean_clean(y, known, z), draws, each, degraded.mean(z)

    n = 20_000
    clean, draws, each, of_mean = found(degraded, jax.random.split(jax.random.key(2), n))
    np.testing.assert_allclose(clean, mean, atol=2e-5)
    np.testing.assert_allclose(of_mean, a @ location, atol=2e-5)
    expected = scipy.stats.norm.logpdf(y, a @ location, np.sqrt(np.diag(of_y)))
    np.testing.assert_allclose(each, expected, rtol=2e-5, atol=2e-5)
    away = np.asarray(draws, np.float64) - mean
    assert np.all(np.abs(away.mean(axis=0)) < LIMIT * np.sqrt(np.diag(left) / n) + 1e-5)
    products = away[:, :, None] * away[:, None, :]
    error = products.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(products.mean(axis=0) - left) < LIMIT * error + 1e-5)


def test_means_of_squares_of_bits_are_those_of_all_images():
    model, degrade = bits(k=2), BlockMeans((2, 4, 1), 2)
    degraded, z = BinaryBlockMeans(model.likelihood, degrade, (8,)), jnp.eye(2)[0]
    log_prob, mean_clean = (eqx.filter_jit(of) for of in (degraded.log_prob, degraded.mean_clean))
    p = np.asarray(model.likelihood.mean(z), np.float64)
    images = np.array(list(product((0, 1), repeat=8)))
    mass = np.prod(np.where(images == 1, p, 1 - p), axis=1)
    small = np.asarray(jax.vmap(degrade)(jnp.asarray(images, jnp.float32)))
    for y in ((0.25, 0.75), (0.0, 1.0), (0.5, 0.5)):
        like = (small == np.array(y)).all(axis=1)
        value, known = jnp.asarray(y), jnp.ones(2, bool)
        assert float(log_prob(value, z)) == pytest.approx(np.log(mass @ like), abs=2e-5)
        expected = (mass * like) @ images / (mass @ like)
        np.testing.assert_allclose(mean_clean(value, known, z), expected, atol=2e-6)
    half = mean_clean(value, jnp.asarray([True, False]), z).reshape(2, 4)
    np.testing.assert_allclose(half[:, 2:], p.reshape(2, 4)[:, 2:], atol=2e-6)
    drawn = degraded.sample_clean(value, known, z, key=jax.random.key(0))
    np.testing.assert_array_equal(degrade(drawn), value)
