"""Forecasts and smoothing draws against the Kalman filter."""

import numpy as np
import pytest

import tightbound as tb
from tests.evidence.test_kalman import FOUND, MODEL, POSTERIOR, X
from tests.oracles import linear_gaussian, state_space
from tests.ztest import LIMIT, z_of_mean

HORIZON = 2
LENGTHS = np.array([3, 5, 5, 4, 5, 5])


def exact_forecasts():
    """Mean and covariance of the values behind each end: those of a longer model's filter."""
    longer = state_space.model(X.shape[1] + HORIZON)
    padding = np.full((len(X), HORIZON, X.shape[2]), np.nan, np.float32)
    found = tb.evidence.kalman(longer, np.concatenate([X, padding], axis=1))
    places = LENGTHS[:, None] + np.arange(HORIZON)
    rows = np.arange(len(X))[:, None]
    mean, cov = found.mean[rows, places], found.covariance[rows, places]
    c = state_space.C
    return mean @ c.T + state_space.SHIFT, c @ cov @ c.T + state_space.R


@pytest.mark.slow
# By exact draws of z, 36 means and 108 products: false alarms 1.4e-4.
@pytest.mark.stat
def test_forecasts_are_those_of_the_filter_beyond_the_model_s_own_steps():
    found = tb.tasks.forecast(MODEL, POSTERIOR, X, horizon=HORIZON, draws=3000, k=3000, level=0.9)
    np.testing.assert_array_equal(found.ends, LENGTHS)
    mean, cov = exact_forecasts()
    assert found.draws.shape == (3000, len(X), HORIZON, X.shape[2])
    assert np.abs(z_of_mean(found.draws, mean)).max() < LIMIT
    away = found.draws - mean
    assert np.abs(z_of_mean(away[..., :, None] * away[..., None, :], cov)).max() < LIMIT
    np.testing.assert_allclose(found.ess, 3000, rtol=1e-2)
    np.testing.assert_allclose(found.log_evidence, FOUND.log_evidence, atol=1e-3)
    # Ends of a normal's central 90 %: their own error is about 2.1 deviations / sqrt(draws).
    deviation = np.sqrt(np.diagonal(cov, axis1=2, axis2=3))
    for end, sign in ((found.low, -1), (found.high, 1)):
        away = np.abs(end - (mean + sign * 1.6449 * deviation)) / deviation
        assert away.max() < LIMIT * 2.12 / np.sqrt(3000)


@pytest.mark.slow
# By draws of the transition and their weights: 60 means, false alarms 5.8e-5.
@pytest.mark.stat
def test_smoothing_draws_are_those_of_the_smoother_also_by_weights():
    exact = tb.tasks.smooth(MODEL, POSTERIOR, X, draws=2000, k=2000)
    assert np.abs(z_of_mean(exact.draws, FOUND.mean)).max() < LIMIT
    away = exact.draws - FOUND.mean
    products = away[..., :, None] * away[..., None, :]
    assert np.abs(z_of_mean(products, FOUND.covariance)).max() < LIMIT
    rough = tb.tasks.smooth(MODEL, MODEL.prior, X, draws=10, k=20_000)
    assert rough.draws.shape == (10, *FOUND.mean.shape)
    assert np.all(rough.ess < 10_000)
    spread = np.sqrt(np.diagonal(FOUND.covariance, axis1=2, axis2=3))
    # A weighted mean errs by about its deviation over the root of the effective draws.
    bars = LIMIT * spread / np.sqrt(rough.ess)[:, None, None]
    assert np.all(np.abs(rough.mean - FOUND.mean) < bars)


def test_models_without_steps_are_refused():
    model = linear_gaussian.one_layer_model()
    with pytest.raises(tb.UsageError, match="expected parts with steps"):
        tb.tasks.forecast(model, model.prior, np.zeros((2, 4)), horizon=1)
    with pytest.raises(tb.UsageError, match="paths of a model of sequences"):
        tb.tasks.smooth(model, model.prior, np.zeros((2, 4)))
    with pytest.raises(tb.UsageError, match="horizon"):
        tb.tasks.forecast(MODEL, POSTERIOR, X, horizon=0)
