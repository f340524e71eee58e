"""The Kalman filter and smoother against the joint normal, and estimates against both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.oracles import state_space
from tests.ztest import LIMIT, z_of_mean
from tightbound import evidence

STEPS, N = 5, 6
X = state_space.drawn(STEPS, N)
MODEL = state_space.model(STEPS)
POSTERIOR = state_space.Exact(STEPS)
FOUND = evidence.kalman(MODEL, X)
TRUTH = np.array([state_space.log_p(x) for x in X])


def test_the_evidence_is_that_of_the_joint_normal():
    np.testing.assert_allclose(FOUND.log_evidence, TRUTH, atol=1e-5)
    by_steps = [
        [
            state_space.log_p(np.where(np.arange(STEPS)[:, None] < t, x, np.nan))
            for t in range(STEPS + 1)
        ]
        for x in X
    ]
    np.testing.assert_allclose(FOUND.log_steps, np.diff(by_steps, axis=1), atol=1e-5)
    for ev in (evidence.exact(MODEL, X), tb.evaluate(MODEL, None, X)):
        np.testing.assert_array_equal(ev.log_evidence, FOUND.log_evidence)
        assert ev.direction == "exact"
        assert "Kalman" in ev.method


def test_numbers_are_per_sequence_and_beside_them_per_step():
    found = tb.evaluate(MODEL, None, X)
    lengths = [3, 5, 5, 4, 5, 5]
    np.testing.assert_array_equal(found.steps, lengths)
    assert found.per_step == pytest.approx(TRUTH.sum() / 27, abs=1e-5)
    # The error of a ratio of means, by its influence on single sequences.
    away = TRUTH - found.per_step * np.array(lengths)
    assert found.stderr_per_step == pytest.approx(np.sqrt(6 / 5 * (away**2).sum()) / 27, rel=1e-4)
    first, *others = found.summary().splitlines()
    assert "nats per sequence" in first
    # Two steps and one behind ends are padding; two whole steps and two entries are missing.
    assert "27 steps in all; 8 of 81 values are missing" in first
    (line,) = (line for line in others if "per step: " in line)
    assert f"{found.per_step:.4f} nats" in line
    assert "(27 steps)" in line


def test_states_given_the_steps_so_far_and_given_all_are_those_of_the_joint_normal():
    for i, x in enumerate(X):
        mean, cov = state_space.given(x)
        np.testing.assert_allclose(FOUND.mean[i].ravel(), mean, atol=1e-6)
        for t in range(STEPS):
            here = slice(2 * t, 2 * t + 2)
            np.testing.assert_allclose(FOUND.covariance[i, t], cov[here, here], atol=1e-6)
            past = state_space.given(np.where(np.arange(STEPS)[:, None] <= t, x, np.nan))
            np.testing.assert_allclose(FOUND.filtered_mean[i, t], past[0][here], atol=1e-6)
            np.testing.assert_allclose(
                FOUND.filtered_covariance[i, t], past[1][here, here], atol=1e-6
            )


# Means and second moments of 10 numbers of each of 6 sequences: false alarms 3.2e-4 in all.
@pytest.mark.stat
def test_smoothing_draws_are_those_of_the_joint_normal():
    draws = FOUND.draw(4000, key=1).reshape(4000, N, -1)
    for i, x in enumerate(X):
        mean, cov = state_space.given(x)
        away = draws[:, i] - mean
        products = away[:, :, None] * away[:, None, :]
        assert np.abs(z_of_mean(away)).max() < LIMIT
        assert np.abs(z_of_mean(products, cov)).max() < LIMIT


def test_dynamax_says_the_same():
    lgssm = pytest.importorskip("dynamax.linear_gaussian_ssm")
    of, _ = lgssm.LinearGaussianSSM(2, 3).initialize(
        jax.random.key(0),
        initial_mean=state_space.MEAN,
        initial_covariance=state_space.P,
        dynamics_weights=state_space.A,
        dynamics_bias=state_space.MOVE,
        dynamics_covariance=state_space.Q,
        emission_weights=state_space.C,
        emission_bias=state_space.SHIFT,
        emission_covariance=state_space.R,
    )
    full = jnp.asarray(X[4])  # without a hole: dynamax takes none
    found = lgssm.lgssm_smoother(of, full)
    np.testing.assert_allclose(found.marginal_loglik, TRUTH[4], rtol=1e-4)
    np.testing.assert_allclose(found.smoothed_means, FOUND.mean[4], atol=1e-4)
    np.testing.assert_allclose(found.smoothed_covariances, FOUND.covariance[4], atol=1e-4)


def test_the_exact_posterior_has_constant_weights_with_holes_of_every_kind():
    ev = tb.evaluate(MODEL, POSTERIOR, X, k=8)
    np.testing.assert_allclose(ev.log_evidence, TRUTH, atol=1e-3)
    assert ev.stderr.max() < 1e-3


@pytest.mark.slow
def test_draws_have_an_axis_of_steps_in_arviz():
    pytest.importorskip("xarray")
    tree = evidence.draws_to_arviz(MODEL, POSTERIOR, X, k=2)
    z = tree["posterior"]["z"]
    assert z.dims == ("chain", "draw", "datum", "step", "unit")
    assert z.shape == (1, 2, N, STEPS, 2)


# Six estimates: false alarms 5.8e-6, by the error that importance sampling gives of itself.
@pytest.mark.slow
@pytest.mark.stat
def test_importance_sampling_from_the_prior_is_right_within_its_errors():
    ev = evidence.prior_sampling(MODEL, X, k=20_000)
    assert np.abs((ev.log_evidence - TRUTH) / ev.stderr).max() < LIMIT


# Both sides of 6 data within 5 of their errors, and of the bias of a logarithm half their square.
@pytest.mark.slow
@pytest.mark.stat
def test_annealing_from_both_sides_meets_the_filter():
    sizes = {"temperatures": 200, "chains": 64}
    found = tb.sandwich(MODEL, observed=~np.isnan(X), key=3, **sizes)
    truth = evidence.exact(MODEL, found.x).log_evidence
    for side in (found.lower, found.upper):
        away = np.abs(side.log_evidence - truth)
        assert np.all(away < LIMIT * side.stderr + side.stderr**2)
    assert found.upper.mean >= found.lower.mean


# The mean of 3 x 2 forecasts: 4,000 draws chosen of as many exact ones, so that z is normal.
@pytest.mark.slow
@pytest.mark.stat
def test_what_comes_behind_the_end_is_what_the_filter_forecasts():
    of = tb.tasks.predictive(MODEL, POSTERIOR, X[:1], draws=4000, k=4000)
    mean = FOUND.mean[0, 3:] @ state_space.C.T + state_space.SHIFT
    behind = of.draws[:, 0, 3:]
    assert np.abs(z_of_mean(behind, mean)).max() < LIMIT
    cov = state_space.C @ FOUND.covariance[0, 4] @ state_space.C.T + state_space.R
    away = behind[:, 1] - mean[1]
    assert np.abs(z_of_mean(away[:, :, None] * away[:, None, :], cov)).max() < LIMIT


def test_other_models_and_matrices_are_refused():
    other, _ = tb.sequence_model(X, latent=2, hidden=2, likelihood="gaussian")
    with pytest.raises(tb.UsageError, match="linear_state_space"):
        evidence.kalman(other, X)
    one, matrix = np.ones(1), np.ones((1, 1))
    with pytest.raises(tb.UsageError, match="emission of shape"):
        tb.models.linear_state_space(matrix, matrix, np.ones((1, 2)), matrix, one, matrix, steps=2)
    with pytest.raises(tb.UsageError, match="covariance to be positive definite"):
        tb.models.linear_state_space(matrix, -matrix, matrix, matrix, one, matrix, steps=2)
    with pytest.raises(tb.UsageError, match="at least one draw|draws"):
        FOUND.draw(0)
