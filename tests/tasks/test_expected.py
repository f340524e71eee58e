"""What is expected of each value given the rest, against the conditionals of normals.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import numpy as np
import pytest

import tightbound as tb
from tests.models.test_holes import linear
from tests.tasks.test_predictive import COVARIANCES, MEANS, ROWS, SHARES, conditional, mixture
from tests.ztest import LIMIT
from tightbound.tasks import expected_given_rest


def hidden(row, place):
    return np.where(np.arange(len(row)) == place, np.nan, row.astype(np.float64))


def test_of_a_mixture_of_normals_it_is_exact():
    found = expected_given_rest(mixture(), None, ROWS)
    for number, place in np.ndindex(ROWS.shape):
        row = hidden(ROWS[number], place)
        parts = [conditional(*of, row) for of in zip(MEANS, COVARIANCES, strict=True)]
        log_p = np.log(SHARES) + [part[0] for part in parts]
        share = np.exp(log_p - np.logaddexp.reduce(log_p))
        means = share @ np.array([part[1] for part in parts])
        truth = means[np.isnan(row[:place]).sum()]
        assert found[number, place] == pytest.approx(truth, abs=1e-5)


@pytest.mark.stat
def test_of_a_linear_gaussian_model_by_draws():
    model, posterior, affine = linear()
    x = np.array([[0.5, -1.0, 2.0, 0.3], [3.0, 1.0, -2.0, 0.0]], np.float32)
    found = expected_given_rest(model, posterior, x, k=5000)
    covariance = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    for number, place in np.ndindex(x.shape):
        _, (mean,), ((left,),) = conditional(affine.offset, covariance, hidden(x[number], place))
        # q is exact: 5,000 draws of z, of which the mean of x has part of the variance.
        assert abs(found[number, place] - mean) < LIMIT * np.sqrt(left / 5000)


def test_a_model_of_many_z_needs_a_posterior():
    with pytest.raises(tb.UsageError, match="posterior"):
        expected_given_rest(linear()[0], None, np.zeros((1, 4), np.float32))
