"""What is expected of z given x and of x given z, against closed forms and enumeration."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tightbound.distributions import (
    BernoulliPrior,
    Categorical,
    DiagonalNormal,
    GaussianComponents,
    Layered,
)
from tightbound.models import Model, linear_gaussian
from tightbound.networks import MLP, Dense
from tightbound.tasks import decode, encode

W = np.array([[1.0, 0.5], [-0.3, 0.8], [0.2, 0.1]])
B, S = np.array([1.0, -2.0, 0.5]), np.array([0.6, 0.9, 1.2])
ROWS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
HOLES = np.where(np.random.default_rng(1).random(ROWS.shape) < 0.3, np.nan, ROWS)


def posterior_of(w, b, s):
    """Mean of z of a linear-Gaussian model as a function of x, and its covariance."""
    precision = np.eye(w.shape[1]) + (w / s[:, None] ** 2).T @ w
    gain = np.linalg.solve(precision, (w / s[:, None] ** 2).T)
    return gain, -gain @ b, np.linalg.inv(precision)


def proposal(scale, shift=0.0):
    """A normal q(z|x) about the exact mean, `scale` times as wide as the exact marginals."""
    gain, offset, covariance = posterior_of(W, B, S)
    location = Dense(jnp.asarray(gain.T, jnp.float32), jnp.asarray(offset + shift, jnp.float32))
    log_scale = np.log(scale * np.sqrt(np.diag(covariance)))
    spread = Dense(jnp.zeros((3, 2)), jnp.asarray(log_scale, jnp.float32))
    return DiagonalNormal(MLP((), "tanh"), location, spread)


def mixture():
    covariances = np.array([np.eye(3), [[2, 0.9, 0], [0.9, 1, 0.2], [0, 0.2, 0.5]]], np.float32)
    means = np.array([[0, 0, 0], [1, -1, 2]], np.float32)
    logits = jnp.log(jnp.array([0.3, 0.7]))
    parts = GaussianComponents.from_covariances(jnp.asarray(means), jnp.asarray(covariances))
    return Model(Categorical(logits), parts), np.array([0.3, 0.7]), means, covariances


@pytest.mark.stat
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_means_of_z_are_those_of_a_linear_gaussian_model(shift):
    gain, offset, _ = posterior_of(W, B, S)
    found = encode(linear_gaussian(W, B, S), proposal(1.5, shift), ROWS, k=20_000)
    # Errors of about 0.01 with 20,000 draws; 14 numbers beyond 6 of them: once in 10^7.
    np.testing.assert_allclose(found, ROWS @ gain.T + offset, atol=0.06)


def test_an_exact_posterior_leaves_no_noise():
    """One latent dimension, where q is the posterior: its mean, with 2 draws."""
    w = W[:, :1]
    gain, offset, covariance = posterior_of(w, B, S)
    location = Dense(jnp.asarray(gain.T, jnp.float32), jnp.asarray(offset, jnp.float32))
    spread = Dense(jnp.zeros((3, 1)), jnp.asarray(0.5 * np.log(covariance[0]), jnp.float32))
    q = DiagonalNormal(MLP((), "tanh"), location, spread)
    found = encode(linear_gaussian(w, B, S), q, ROWS, k=2)
    np.testing.assert_allclose(found, ROWS @ gain.T + offset, atol=1e-5)


def test_a_finite_z_has_its_posterior():
    model, weights, means, covariances = mixture()
    found = encode(model, None, HOLES)
    for row, of_row in zip(HOLES, found, strict=True):
        known = ~np.isnan(row)
        densities = [
            weight
            * (
                stats.multivariate_normal(mean[known], covariance[np.ix_(known, known)]).pdf(
                    row[known]
                )
                if known.any()
                else 1
            )
            for weight, mean, covariance in zip(weights, means, covariances, strict=True)
        ]
        np.testing.assert_allclose(of_row, densities / np.sum(densities), rtol=1e-5)
    assert found.dtype == np.float64


def test_rows_do_not_depend_on_those_beside_them():
    model = mixture()[0]
    each = np.concatenate([encode(model, None, row[None]) for row in ROWS])
    np.testing.assert_allclose(encode(model, None, ROWS), each, rtol=1e-12)


def test_decoding_gives_means():
    z = np.random.default_rng(2).normal(size=(4, 2))
    found = decode(linear_gaussian(W, B, S), z).x
    np.testing.assert_allclose(found, z @ W.T + B, atol=1e-5)


def test_decoding_probabilities_mixes_the_means():
    model, _, means, _ = mixture()
    codes = np.array([[1.0, 0], [0.25, 0.75]])
    np.testing.assert_allclose(decode(model, codes).x, codes @ means, atol=1e-6)


def test_levels_are_the_most_probable_ones():
    rows = np.random.default_rng(3).integers(0, 3, (60, 2)).astype(np.float32)
    levels = tb.data.Column("a", "category", ("x", "y", "z"))
    schema = tb.data.Schema((levels, levels.__class__("b", "count")))
    ds = tb.data.Dataset(
        "t", rows, rows, rows, (2,), "real", "", "", columns=schema.names, schema=schema
    )
    start = tb.autoencoder(ds, likelihood="columns", latent=2, hidden=(4,))
    codes = encode(*start, rows[:5], k=10)
    found = decode(start[0], codes)
    assert codes.shape == (5, 2)
    assert found.level_probs[0].shape == (5, 3)
    np.testing.assert_allclose(found.level_probs[0].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.x[:, 0], found.level_probs[0].argmax(axis=1))

    finite = Model(BernoulliPrior(jnp.array([0.4, -0.2])), start[0].likelihood)
    shares = encode(finite, None, rows[:5])
    found = decode(finite, shares)
    each = decode(start[0], np.array([[0, 0], [0, 1.0], [1, 0], [1, 1]]))
    np.testing.assert_allclose(found.level_probs[0], shares @ each.level_probs[0], atol=1e-5)
    np.testing.assert_array_equal(found.x[:, 0], found.level_probs[0].argmax(axis=1))


def test_layers_stand_one_behind_the_other():
    rows = np.random.default_rng(4).normal(size=(40, 3)).astype(np.float32)
    model, q = tb.autoencoder(rows, likelihood="gaussian", latent=(3, 2), hidden=(4,), layers=2)
    assert isinstance(q, Layered)
    codes = encode(model, q, rows[:6], k=20)
    assert codes.shape == (6, 5)
    bottom = decode(model, codes).x
    assert bottom.shape == (6, 3)
    np.testing.assert_array_equal(bottom, decode(model, codes + [0, 0, 0, 9, 9]).x)


def test_other_widths_are_refused():
    with pytest.raises(tb.UsageError, match=r"shape \(n, 2\), got \(4, 3\)"):
        decode(linear_gaussian(W, B, S), np.zeros((4, 3)))
