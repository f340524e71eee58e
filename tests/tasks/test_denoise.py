"""Denoised images against enumeration of all clean ones, and against dense algebra of normals.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.likelihoods.test_degraded import bits
from tests.models.test_holes import linear
from tests.oracles import linear_gaussian as oracle
from tests.tasks.test_predictive import MEANS, conditional, mixture
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError

NOISE, FLIPS = 0.7, 0.15


def noisy_bits(n=3, d=8):
    return (np.random.default_rng(5).random((n, d)) < 0.5).astype(np.float32)


def clean_given(model, y, weight):
    """Log p(y) and E[x | y] of each row, over all components and all images of bits."""
    shares = np.exp(np.asarray(model.prior.logits, np.float64))
    shares /= shares.sum()
    probs = 1 / (1 + np.exp(-np.asarray(model.likelihood.logits, np.float64)))
    images = np.array(list(product((0, 1), repeat=probs.shape[1])), np.float64)
    p = sum(
        share * np.prod(np.where(images == 1, prob, 1 - prob), axis=1)
        for share, prob in zip(shares, probs, strict=True)
    )
    joint = p[None] * np.array([weight(row, images) for row in y])
    total = joint.sum(axis=1)
    return np.log(total), joint @ images / total[:, None]


def flips(row, images):
    return np.prod(np.where(images == row, 1 - FLIPS, FLIPS), axis=1)


@pytest.mark.stat
def test_of_a_mixture_of_bits_all_is_exact():
    model, y = bits(), noisy_bits()
    found = tb.tasks.denoise(model, None, y.reshape(3, 2, 4), noise=FLIPS, draws=4000, key=0)
    log_p, mean = clean_given(model, y, flips)
    assert found.x.shape == found.stderr.shape == found.seen.shape == (3, 2, 4)
    np.testing.assert_allclose(found.log_evidence, log_p, atol=2e-5)
    np.testing.assert_allclose(found.x.reshape(3, 8), mean, atol=2e-6)
    assert not found.stderr.any()
    assert np.isinf(found.ess).all()
    assert not found.unsure.any()
    off = found.draws.reshape(4000, 3, 8).mean(axis=0) - mean
    assert np.all(np.abs(off) < LIMIT * np.sqrt(mean * (1 - mean) / 4000))
    np.testing.assert_allclose(found.sd.reshape(3, 8), np.sqrt(mean * (1 - mean)), atol=0.05)


@pytest.mark.stat
def test_weights_mend_a_proposal_with_the_error_they_say():
    model, y = bits(), np.repeat(noisy_bits(2), 60, axis=0)
    found = tb.tasks.denoise(model, model.prior, y, noise=FLIPS, draws=1, k=4000, key=1)
    log_p, mean = clean_given(model, y[[0, 60]], flips)
    z = (found.x - np.repeat(mean, 60, axis=0)) / found.stderr
    assert np.all(np.abs(z) < LIMIT)
    # 60 z-scores for each pixel of two images: their squares have the mean 1 +- 0.18.
    spread = np.mean(z.reshape(2, 60, 8) ** 2, axis=1)
    assert np.all(np.abs(spread - 1) < LIMIT * np.sqrt(2 / 60))
    z = (found.log_evidence - np.repeat(log_p, 60)) / found.log_evidence_stderr
    assert np.all(np.abs(z) < LIMIT)


@pytest.mark.stat
def test_of_a_linear_gaussian_model_it_is_dense_algebra():
    model, _, affine = linear()
    y = oracle.data(4, seed=3)
    y[1, 2] = np.nan  # a pixel that is missing is filled too
    # Of noisy data this is the exact posterior, so that all weights are equal.
    arrays = affine.matrix, affine.offset, affine.variance + NOISE**2
    q = oracle.MarginalPosterior(*(jnp.asarray(a, jnp.float32) for a in arrays))
    found = tb.tasks.denoise(model, q, y, noise=NOISE, draws=4000, k=4000, key=2)
    cov = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    of_both = np.block([[cov, cov], [cov, cov + NOISE**2 * np.eye(4)]])
    np.testing.assert_allclose(found.ess, 4000, rtol=1e-3)
    for number, row in enumerate(y.astype(np.float64)):
        both = np.concatenate([np.full(4, np.nan), row])
        known = ~np.isnan(both)
        keep = known | (np.arange(8) < 4)
        log_p, mean, left = conditional(
            np.tile(affine.offset, 2)[keep], of_both[np.ix_(keep, keep)], both[keep]
        )
        assert found.log_evidence[number] == pytest.approx(log_p, abs=1e-4)
        assert np.all(np.abs(found.x[number] - mean) < LIMIT * found.stderr[number])
        drawn = found.draws[:, number].astype(np.float64)
        # Draws of z are chosen of 4000: both have a say in the error.
        error = np.sqrt(2 * np.diag(left) / 4000)
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < LIMIT * error)
        ratio = drawn.var(axis=0) / np.diag(left)
        assert np.all(np.abs(ratio - 1) < LIMIT * np.sqrt(2 * 2 / 4000))


def test_an_encoders_pass_is_no_estimate_and_few_draws_are_said():
    model, posterior, _ = linear()
    y = 4 * oracle.data(3)
    found = tb.tasks.denoise(model, posterior, y, noise=3.0, draws=2, k=30, key=3)
    # The posterior of clean data is far too narrow for noise of this size.
    assert found.unsure.all()
    assert "of 3 images 30 draws of z are too few" in found.summary()


@pytest.mark.parametrize("noise", [0, 0.6, -0.1, np.nan, "a", True, None])
def test_flips_that_are_none_are_refused(noise):
    with pytest.raises(UsageError, match="probability of a flipped bit"):
        tb.tasks.denoise(bits(), None, noisy_bits(), noise=noise)


@pytest.mark.parametrize("noise", [0, -1.0, np.inf, np.nan, [0.1]])
def test_noise_that_is_none_is_refused(noise):
    model, posterior, _ = linear()
    with pytest.raises(UsageError, match="standard deviation of normal noise"):
        tb.tasks.denoise(model, posterior, oracle.data(2), noise=noise)


def test_what_has_no_closed_form_is_refused():
    dependent = mixture()
    with pytest.raises(UsageError, match="closed form.*got GaussianComponents"):
        tb.tasks.denoise(dependent, None, MEANS, noise=0.1)
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (20, 4)).astype(np.float32)
    model, posterior = tb.autoencoder(counts, latent=1, hidden=(2,), likelihood="poisson")
    with pytest.raises(UsageError, match="closed form.*got Columns of values that are count"):
        tb.tasks.denoise(model, posterior, counts, noise=0.1)
    labelled, q = tb.models.labelled(noisy_bits(20), 2, latent=1, hidden=(2,))
    with pytest.raises(UsageError, match="closed form.*got OverLabels"):
        tb.tasks.denoise(labelled, q, noisy_bits(), noise=0.1)
    steps = noisy_bits(20, 4).reshape(20, 2, 2)
    chain, q = tb.sequence_model(steps, latent=1, hidden=2)
    with pytest.raises(UsageError, match="expected a model of these, got one of sequences"):
        tb.tasks.denoise(chain, q, steps, noise=0.1)
    with pytest.raises(UsageError, match="needs log q"):
        tb.tasks.denoise(linear()[0], None, oracle.data(2), noise=1.0)
