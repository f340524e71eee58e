"""Particle filters as an estimator of log p(x), against the Kalman filter."""

import numpy as np
import pytest

import tightbound as tb
from tests.evidence.test_by import is_an_estimate
from tests.evidence.test_kalman import MODEL, TRUTH, X
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT


# Six sequences: false alarms 5.8e-6 by the filters' own error, and the bias of a logarithm.
@pytest.mark.slow
@pytest.mark.stat
def test_it_is_right_within_its_error_and_a_bound_from_below():
    by = tb.evidence.ParticleFilter(particles=200, filters=100)
    found = tb.evaluate(MODEL, MODEL.prior, X, by=by)
    is_an_estimate(found, len(X))
    away = np.abs(found.log_evidence - TRUTH)
    assert np.all(away < LIMIT * found.stderr + found.stderr**2)
    assert found.stderr.max() < 0.1
    assert found.direction == "lower"
    assert "100 particle filters with 200 particles" in found.summary()
    # A sequence of three steps has no more occasions than two.
    assert 0 < found.diagnostics["resampled"][0] <= 2


def test_parts_without_steps_are_refused():
    model = linear_gaussian.one_layer_model()
    with pytest.raises(tb.UsageError, match="goes step by step: expected parts that offer steps"):
        tb.evidence.particle_filter(model, model.prior, np.zeros((2, 4)))
    with pytest.raises(tb.UsageError, match="'ess 0.5', 'always' or 'never'"):
        tb.evidence.particle_filter(MODEL, MODEL.prior, X, resampling="often")
