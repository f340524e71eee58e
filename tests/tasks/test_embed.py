"""Moments, draws and maps of z given x, against linear-Gaussian models and enumeration.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.tasks.test_encode import HOLES, ROWS, B, S, W, mixture, posterior_of, proposal
from tests.ztest import LIMIT
from tightbound.models import linear_gaussian
from tightbound.tasks import embed, encode

K, DRAWS = 20_000, 2_000


@pytest.fixture(scope="module")
def found():
    return embed(linear_gaussian(W, B, S), proposal(1.5, 0.3), ROWS, k=K, draws=DRAWS)


def placed(found, codes, draws=None):
    """Other codes in the place of those found."""
    n, draws = len(codes), codes[None] if draws is None else draws
    each = dict.fromkeys(("log_evidence", "stderr", "ess", "khat"), np.ones(n))
    return replace(found, codes=codes, sd=np.ones(codes.shape), draws=draws, **each)


@pytest.mark.stat
def test_moments_are_those_of_the_posterior(found):
    gain, offset, covariance = posterior_of(W, B, S)
    mean, sd = ROWS @ gain.T + offset, np.sqrt(np.diag(covariance))
    error = sd / np.sqrt(found.ess)[:, None]
    assert np.all(np.abs(found.codes - mean) < LIMIT * error)
    # The variance of a normal has twice its square for variance.
    ratio = (found.sd / sd) ** 2 - 1
    assert np.all(np.abs(ratio) < LIMIT * np.sqrt(2 / found.ess)[:, None])
    log_p = stats.multivariate_normal(B, W @ W.T + np.diag(S**2)).logpdf(ROWS)
    assert np.all(np.abs(found.log_evidence - log_p) < LIMIT * found.stderr)


@pytest.mark.stat
def test_draws_are_of_the_posterior(found):
    gain, offset, covariance = posterior_of(W, B, S)
    assert found.draws.shape == (DRAWS, 7, 2)
    # They are chosen of k: both have a say in the error.
    part = 1 / DRAWS + 1 / found.ess
    error = np.sqrt(np.diag(covariance)) * np.sqrt(part)[:, None]
    draws = found.draws.astype(np.float64)
    assert np.all(np.abs(draws.mean(axis=0) - (ROWS @ gain.T + offset)) < LIMIT * error)
    for number in range(7):
        drawn = np.cov(draws[:, number].T)
        # Var of a product of two normals about their means: c_ii c_jj + c_ij^2.
        spread = np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2
        assert np.all(np.abs(drawn - covariance) < LIMIT * np.sqrt(spread * part[number]))


def test_means_are_those_of_encode(found):
    again = encode(linear_gaussian(W, B, S), proposal(1.5, 0.3), ROWS, k=K)
    np.testing.assert_allclose(found.codes, again, atol=1e-6)


@pytest.mark.stat
def test_a_finite_z_has_its_probabilities_and_draws_in_no_order():
    model = mixture()[0]
    found = embed(model, None, HOLES, draws=DRAWS)
    shares = encode(model, None, HOLES)
    np.testing.assert_array_equal(found.codes, shares)
    np.testing.assert_allclose(found.sd, np.sqrt(shares * (1 - shares)), rtol=1e-12)
    assert found.finite
    assert np.isinf(found.ess).all()
    assert not found.unsure.any()
    assert (found.draws.sum(axis=2) == 1).all()
    # Systematic draws have each value as often as its share says, within one.
    assert np.all(np.abs(found.draws.sum(axis=0) - DRAWS * shares) <= 1 + 1e-6)
    # Halves of the draws are like the whole (their order is random): a hypergeometric count.
    half = found.draws[: DRAWS // 2].mean(axis=0)
    error = np.sqrt(shares * (1 - shares) / DRAWS)
    assert np.all(np.abs(half - found.draws.mean(axis=0)) < LIMIT * error + 1e-9)
    assert found.summary() == "probabilities of 2 values of z for 7 rows, exact"


def test_a_map_of_two_latents_is_z_itself(found):
    plane = found.map()
    assert plane.exact
    assert plane.names == ("z1", "z2")
    np.testing.assert_array_equal(plane.points, found.codes)
    np.testing.assert_array_equal(plane.draws, found.draws)


def test_a_map_of_more_has_the_principal_components(found):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 5)) * [5, 0.1, 3, 0.2, 0.1] + 7
    wide = placed(found, codes, codes[None] + [1.0, 0, 0, 0, 0])
    plane = wide.map()
    values, vectors = np.linalg.eigh(np.cov(codes.T))
    np.testing.assert_allclose(plane.shares, values[:-3:-1] / values.sum(), rtol=1e-9)
    np.testing.assert_allclose(np.abs(plane.axes @ vectors[:, :-3:-1]), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(plane.points, (codes - codes.mean(axis=0)) @ plane.axes.T)
    np.testing.assert_allclose(plane.draws[0] - plane.points, np.tile(plane.axes[:, 0], (500, 1)))
    assert plane.axes[0, 0] > 0.9
    assert plane.names[0].endswith("% of variance)")
    assert not plane.exact


def test_few_draws_are_said(found):
    few = replace(found, ess=np.full(7, 5.0))
    assert "of 7 rows 20,000 draws of z are too few" in few.summary()


def test_what_cannot_be_embedded_is_refused(found):
    with pytest.raises(tb.UsageError, match="expected k >= 2, got 1"):
        embed(linear_gaussian(W, B, S), proposal(1.0), ROWS, k=1)
    with pytest.raises(tb.UsageError, match="posterior"):
        embed(linear_gaussian(W, B, S), None, ROWS)
    with pytest.raises(tb.UsageError, match="expected a z of two or more, got one"):
        placed(found, found.codes[:, :1]).map()
    with pytest.raises(tb.UsageError, match="expected two means"):
        placed(found, np.ones((4, 3))).map()
