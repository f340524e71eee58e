"""Paths between two data of a linear-Gaussian model, whose ends and densities are known."""

import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.tasks.test_encode import ROWS, B, S, W, mixture, posterior_of, proposal
from tightbound.models import linear_gaussian
from tightbound.tasks import interpolate
from tightbound.tasks.interpolate import arc

MODEL = linear_gaussian(W, B, S)


@pytest.fixture(scope="module")
def found():
    return interpolate(MODEL, proposal(1.0), ROWS[0], ROWS[1], steps=5, k=20_000, key=1)


@pytest.mark.stat
def test_a_line_goes_from_mean_to_mean(found):
    gain, offset, covariance = posterior_of(W, B, S)
    means = ROWS[:2] @ gain.T + offset
    # Errors of about 0.01 with 20,000 draws; 4 numbers beyond 6 of them: once in 10^8.
    np.testing.assert_allclose(found.codes[[0, -1]], means, atol=0.06)
    np.testing.assert_allclose(
        found.ends.sd, np.tile(np.sqrt(np.diag(covariance)), (2, 1)), rtol=0.1
    )
    t = np.linspace(0, 1, 5)[:, None]
    np.testing.assert_allclose(found.codes, (1 - t) * found.codes[0] + t * found.codes[-1])
    np.testing.assert_allclose(found.x, found.codes @ W.T + B, atol=1e-5)


@pytest.mark.stat
def test_log_densities_are_those_of_the_prior_and_of_its_draws(found):
    normal = stats.multivariate_normal(np.zeros(2))
    np.testing.assert_allclose(found.log_prior, normal.logpdf(found.codes), atol=1e-5)
    # -2 log p(z) - 2 log 2 pi is a chi-square of two degrees of freedom. Quantiles of 1,000 draws:
    # errors sqrt(p (1 - p) / 1000) of probability, at 4.9 of them.
    low, high = (stats.chi2(2).sf(-2 * (end + np.log(2 * np.pi))) for end in found.usual)
    assert abs(low - 0.025) < 4.9 * np.sqrt(0.025 * 0.975 / 1000)
    assert abs(high - 0.975) < 4.9 * np.sqrt(0.025 * 0.975 / 1000)
    np.testing.assert_array_equal(
        found.unusual,
        (found.log_prior < found.usual[0]) | (found.log_prior > found.usual[1]),
    )


def test_an_arc_keeps_lengths_and_turns_evenly():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    t = np.linspace(0, 1, 7)
    codes = arc(a, b, t)
    np.testing.assert_allclose(codes[[0, -1]], [a, b])
    lengths = np.linalg.norm(codes, axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(a) * (1 - t) + np.linalg.norm(b) * t)
    turns = np.sum(codes[1:] * codes[:-1], axis=1) / (lengths[1:] * lengths[:-1])
    np.testing.assert_allclose(turns, turns[0])
    np.testing.assert_allclose(arc(a, 3 * a, t), np.outer(1 + 2 * t, a))
    # The middle of a line is short by a factor of sqrt(2), as is known of two draws.
    assert np.linalg.norm((a + b) / 2) < 0.85 * lengths[3]


def test_a_spherical_path_has_the_ends_of_a_linear_one(found):
    arched = interpolate(
        MODEL, proposal(1.0), ROWS[0], ROWS[1], steps=5, k=20_000, key=1, path="spherical"
    )
    np.testing.assert_allclose(arched.codes[[0, -1]], found.codes[[0, -1]])
    np.testing.assert_allclose(arched.codes, arc(*found.codes[[0, -1]], np.linspace(0, 1, 5)))


def test_what_has_no_path_is_refused():
    pair = ROWS[0], ROWS[1]
    with pytest.raises(tb.UsageError, match="did you mean linear"):
        interpolate(MODEL, proposal(1.0), *pair, path="lnear")
    with pytest.raises(tb.UsageError, match="expected steps >= 2, got 1"):
        interpolate(MODEL, proposal(1.0), *pair, steps=1)
    with pytest.raises(tb.UsageError, match=r"two items of shape \(3,\), got \(2,\)"):
        interpolate(MODEL, proposal(1.0), ROWS[0], ROWS[1, :2])
    with pytest.raises(tb.UsageError, match="nothing between finitely many values"):
        interpolate(mixture()[0], None, *pair)
    with pytest.raises(tb.UsageError, match="opposite"):
        arc(np.ones(3), -2 * np.ones(3), np.linspace(0, 1, 3))
    with pytest.raises(tb.UsageError, match="away from the origin"):
        arc(np.ones(3), np.zeros(3), np.linspace(0, 1, 3))
