"""Predictive draws against the exact conditionals of normals and of their mixtures.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.test_holes import holed, linear, truth
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions import Categorical, GaussianComponents, StandardNormal
from tightbound.models import Model
from tightbound.tasks import predictive
from tightbound.tasks.enough import too_few

MEANS = np.array([[0.0, 1.0, -1.0], [4.0, -2.0, 0.5]])
COVARIANCES = np.array(
    [
        [[1.0, 0.6, 0.2], [0.6, 0.9, -0.3], [0.2, -0.3, 1.4]],
        [[0.5, -0.2, 0.0], [-0.2, 0.8, 0.5], [0.0, 0.5, 0.7]],
    ]
)
SHARES = np.array([0.3, 0.7])


def conditional(mean, covariance, row):
    """Log-density of what is known of a row, mean and covariance of the rest, in float64."""
    known = ~np.isnan(row)
    block = covariance[np.ix_(known, known)]
    across = covariance[np.ix_(~known, known)]
    away = row[known] - mean[known]
    solved = np.linalg.solve(block, away)
    log_p = -0.5 * (away @ solved + np.linalg.slogdet(2 * np.pi * block)[1])
    left = covariance[np.ix_(~known, ~known)] - across @ np.linalg.solve(block, across.T)
    return log_p, mean[~known] + across @ solved, left


def mixture(shares=SHARES, means=MEANS, covariances=COVARIANCES):
    likelihood = GaussianComponents.from_covariances(
        jnp.asarray(means, jnp.float32), jnp.asarray(covariances, jnp.float32)
    )
    return Model(Categorical(jnp.log(jnp.asarray(shares, jnp.float32))), likelihood)


ROWS = np.array(
    [
        [0.3, np.nan, np.nan],
        [np.nan, -1.0, np.nan],
        [2.0, np.nan, 0.1],
        [np.nan, np.nan, np.nan],
        [1.0, 0.5, 0.2],
    ],
    np.float32,
)


@pytest.mark.stat
def test_of_a_mixture_of_normals_all_is_exact():
    found = predictive(mixture(), None, ROWS, draws=20_000, key=0)
    assert np.isinf(found.ess).all()
    assert not found.stderr.any()
    for number, row in enumerate(ROWS.astype(np.float64)):
        parts = [conditional(*of, row) for of in zip(MEANS, COVARIANCES, strict=True)]
        log_p = np.log(SHARES) + [part[0] for part in parts]
        total = np.logaddexp.reduce(log_p)
        assert found.log_evidence[number] == pytest.approx(total, abs=1e-5)
        share = np.exp(log_p - total)
        hole = np.isnan(row)
        mean = share @ np.array([part[1] for part in parts])
        np.testing.assert_allclose(found.mean[number][hole], mean, atol=1e-5)
        np.testing.assert_array_equal(found.mean[number][~hole], row[~hole].astype(np.float32))
        assert (found.draws[:, number, ~hole] == row[~hole].astype(np.float32)).all()
        second = sum(
            s * (part[2] + np.outer(part[1] - mean, part[1] - mean))
            for s, part in zip(share, parts, strict=True)
        )
        drawn = found.draws[:, number, hole].astype(np.float64)
        error = np.sqrt(np.diag(second) / 20_000)
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < LIMIT * error)
        if hole.any():
            away = drawn - mean
            each = away[:, :, None] * away[:, None, :]
            off = np.abs(each.mean(axis=0) - second)
            assert np.all(off < LIMIT * each.std(axis=0) / np.sqrt(20_000))


@pytest.mark.stat
def test_draws_have_no_order():
    """Of 200 rows alike, the first draws are of each component as often as others are."""
    found = predictive(mixture(), None, np.full((200, 3), np.nan, np.float32), draws=10, key=5)
    # 0.3 and 0.7 are apart by more than 3 standard deviations in the first column.
    second = (found.draws[0, :, 0] > 2).mean()
    share = (found.draws[..., 0] > 2).mean()
    assert abs(second - share) < LIMIT * np.sqrt(0.21 / 200)


@pytest.mark.stat
def test_of_a_linear_gaussian_model_with_its_exact_posterior():
    model, posterior, affine = linear()
    x = holed()
    found = predictive(model, posterior, x, draws=5000, k=5000, key=1)
    np.testing.assert_allclose(found.log_evidence, truth(x), atol=2e-4)
    covariance = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    for number, row in enumerate(x.astype(np.float64)):
        hole = np.isnan(row)
        if not hole.any():
            continue
        _, mean, left = conditional(affine.offset, covariance, row)
        drawn = found.draws[:, number, hole].astype(np.float64)
        # Draws of z are chosen of 5000: both have a say in the error.
        error = np.sqrt(2 * np.diag(left) / 5000)
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < LIMIT * error)
        assert np.all(np.abs(found.mean[number][hole] - mean) < LIMIT * error)
        ratio = drawn.var(axis=0) / np.diag(left)
        assert np.all(np.abs(ratio - 1) < LIMIT * np.sqrt(2 * 2 / 5000))


@pytest.mark.stat
def test_weights_mend_a_posterior_that_is_off():
    model, _, affine = linear()
    x = holed()
    found = predictive(model, model.prior, x, draws=2000, k=20_000, key=2)
    covariance = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    for number, row in enumerate(x.astype(np.float64)):
        hole = np.isnan(row)
        if hole.any():
            _, mean, left = conditional(affine.offset, covariance, row)
            error = np.sqrt(np.diag(left) / found.ess[number])
            assert np.all(np.abs(found.mean[number][hole] - mean) < LIMIT * error)


class Narrow(StandardNormal):
    """A proposal that knows nothing of the datum, and is sure of it."""

    def sample(self, given=None, *, key):
        return 0.8 + 0.25 * super().sample(given, key=key)

    def log_prob(self, value, given=None):
        return super().log_prob((value - 0.8) / 0.25) - 2 * jnp.log(0.25)


@pytest.mark.stat
def test_a_proposal_that_is_off_is_adapted_to_each_datum():
    model, _, affine = linear()
    x = holed()
    kept = predictive(model, Narrow(2), x, draws=2000, k=5000, key=6)
    assert not kept.adapted.any()
    found = predictive(model, Narrow(2), x, draws=2000, k=5000, adapt=True, key=6, batch_size=5)
    assert too_few(kept.khat, kept.ess).sum() > len(x) / 2
    assert not too_few(found.khat, found.ess)[found.adapted].any()
    whole = ~np.isnan(x).any(axis=1)
    np.testing.assert_array_equal(found.adapted, too_few(kept.khat, kept.ess) & ~whole)
    same = ~found.adapted
    np.testing.assert_array_equal(found.draws[:, same], kept.draws[:, same])
    np.testing.assert_array_equal(found.observed, kept.observed)
    exact = truth(x)
    off = np.abs(found.log_evidence - exact)[found.adapted]
    assert np.all(off < LIMIT * found.stderr[found.adapted])
    covariance = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    for number in np.flatnonzero(found.adapted):
        hole = np.isnan(x[number])
        _, mean, left = conditional(affine.offset, covariance, x[number].astype(np.float64))
        error = np.sqrt(np.diag(left) * (1 / found.ess[number] + 1 / 2000))
        assert np.all(np.abs(found.mean[number][hole] - mean) < LIMIT * error)
        drawn = found.draws[:, number, hole]
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < LIMIT * error)


def test_where_z_is_no_vector_of_real_numbers_nothing_is_adapted():
    found = predictive(mixture(), None, ROWS, draws=3, adapt=True)
    assert not found.adapted.any()


def test_intervals_hold_known_values_as_points():
    found = predictive(mixture(), None, ROWS, draws=400, key=3)
    low, high = found.interval(0.9)
    assert np.all(low[found.observed] == high[found.observed])
    assert np.all(low[~found.observed] < high[~found.observed])
    # 39 draws leave 40 places that are equally likely for a further one: two are outside each end.
    counted = np.arange(1, 40, dtype=np.float32)[:, None, None]
    low, high = replace(found, draws=np.broadcast_to(counted, (39, 5, 3))).interval(0.9)
    np.testing.assert_allclose((low[0, 0], high[0, 0]), (2.0, 38.0))
    with pytest.raises(UsageError, match="needs draws=2000 or more, got 400"):
        found.interval(0.999)
    with pytest.raises(UsageError, match="between 0 and 1, got 1.5"):
        found.interval(1.5)


def test_batches_make_no_difference():
    one = predictive(mixture(), None, ROWS, draws=7, key=4)
    other = predictive(mixture(), None, ROWS, draws=7, key=4, batch_size=2)
    np.testing.assert_allclose(one.draws, other.draws, rtol=1e-6)


def test_a_model_of_many_z_needs_a_posterior():
    model, _, _ = linear()
    with pytest.raises(UsageError, match="posterior"):
        predictive(model, None, holed())


def test_one_draw_of_z_is_one_and_says_nothing_of_its_error():
    model, q, _ = linear()
    found = predictive(model, q, holed()[:2], draws=3, k=1)
    np.testing.assert_array_equal(found.ess, 1)
    assert np.isnan(found.stderr).all()
    assert np.isnan(found.khat).all()
    assert np.isfinite(found.log_evidence).all()
    assert np.isfinite(found.draws).all()
