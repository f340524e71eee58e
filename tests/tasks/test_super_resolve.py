"""Large images against enumeration of all that have these means, and against algebra of normals.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.likelihoods.test_degraded import bits
from tests.tasks.test_denoise import clean_given
from tests.tasks.test_predictive import conditional
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions.restoration import BlockMeans

SMALL = np.array([[0.25, 0.75], [0.5, 0.0], [1.0, 0.25]], np.float32)
DEGRADE = BlockMeans((2, 4, 1), 2)
MATRIX = np.asarray(jax.vmap(DEGRADE, out_axes=1)(jnp.eye(8)), np.float64)


def same_means(row, images):
    return (images @ MATRIX.T == row).all(axis=1)


@pytest.mark.stat
def test_of_a_mixture_of_bits_all_is_exact():
    model = bits()
    small = SMALL.reshape(3, 1, 2)
    found = tb.tasks.super_resolve(model, None, small, factor=2, draws=2000, key=0)
    log_p, mean = clean_given(model, SMALL, same_means)
    assert found.x.shape == (3, 2, 4)
    np.testing.assert_array_equal(found.seen, small)
    np.testing.assert_allclose(found.log_evidence, log_p, atol=2e-5)
    np.testing.assert_allclose(found.x.reshape(3, 8), mean, atol=3e-6)
    draws = found.draws.reshape(2000, 3, 8)
    np.testing.assert_array_equal(draws @ MATRIX.T, np.broadcast_to(SMALL, (2000, 3, 2)))
    error = np.sqrt(mean * (1 - mean) / 2000)
    assert np.all(np.abs(draws.mean(axis=0) - mean) < LIMIT * error + 1e-6)


@pytest.mark.stat
def test_weights_mend_a_proposal_with_the_error_they_say():
    model = bits()
    found = tb.tasks.super_resolve(
        model, model.prior, SMALL, factor=2, shape=(2, 4), draws=1, k=20_000, key=1
    )
    log_p, mean = clean_given(model, SMALL, same_means)
    assert np.all(np.abs(found.x.reshape(3, 8) - mean) < LIMIT * found.stderr.reshape(3, 8) + 3e-6)
    assert np.all(np.abs(found.log_evidence - log_p) < LIMIT * found.log_evidence_stderr)


@pytest.mark.stat
def test_of_a_linear_gaussian_model_it_is_dense_algebra():
    rng = np.random.default_rng(2)
    scale, loading, offset = rng.uniform(0.3, 1, 8), rng.normal(size=(8, 2)), rng.normal(size=8)
    model = tb.models.linear_gaussian(loading, offset, scale)
    small = rng.normal(size=(3, 1, 2)).astype(np.float32)
    small[2, 0, 1] = np.nan
    cov = loading @ loading.T + np.diag(scale**2)
    of_both = np.block([[cov, cov @ MATRIX.T], [MATRIX @ cov, MATRIX @ cov @ MATRIX.T]])
    found = tb.tasks.super_resolve(model, model.prior, small, factor=2, draws=20, k=20_000, key=3)
    for number, row in enumerate(small.reshape(3, 2).astype(np.float64)):
        both = np.concatenate([np.full(8, np.nan), row])
        keep = ~np.isnan(both) | (np.arange(10) < 8)
        log_p, mean, _ = conditional(
            np.concatenate([offset, MATRIX @ offset])[keep],
            of_both[np.ix_(keep, keep)],
            both[keep],
        )
        z = (found.log_evidence[number] - log_p) / found.log_evidence_stderr[number]
        assert abs(z) < LIMIT
        x, error = (a[number].reshape(8) for a in (found.x, found.stderr))
        assert np.all(np.abs(x - mean) < LIMIT * error)
        known = ~np.isnan(row)
        for one in found.draws[:, number].reshape(20, 8):
            np.testing.assert_allclose((MATRIX @ one)[known], row[known], atol=1e-5)


def test_colours_are_enlarged_one_by_one():
    rng = np.random.default_rng(0)
    model = tb.models.linear_gaussian(rng.normal(size=(24, 1)), np.zeros(24), 0.5)
    small = rng.normal(size=(2, 1, 2, 3)).astype(np.float32)
    found = tb.tasks.super_resolve(model, model.prior, small, factor=2, draws=2, k=50)
    assert found.x.shape == (2, 2, 4, 3)
    means = found.x.reshape(2, 1, 2, 2, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(means, small, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "how", "words"),
    [
        (np.full((2, 1, 2), 0.3), {"factor": 2}, "expected a multiple of 0.25 from 0 to 1"),
        (np.zeros((2, 1, 2)), {"factor": 3}, r"are \(3, 6\) after super-resolution"),
        (np.zeros((2, 1, 2)), {"factor": 1}, "expected factor >= 2"),
        (np.zeros((2, 2)), {"factor": 2}, r"expected small images of shape \(n, height, width\)"),
        (np.zeros((2, 2)), {"factor": 2, "shape": (8, 1)}, "divides both sides"),
        (np.zeros((2, 3)), {"factor": 2, "shape": (2, 4)}, "expected small images of 2 values"),
        (np.zeros((2, 2)), {"factor": 2, "shape": (3, 3)}, "of 8 values in all"),
        (np.zeros((2, 2)), {"factor": 2, "shape": (2,)}, "of 8 values in all"),
    ],
)
def test_what_does_not_fit_is_refused(x, how, words):
    with pytest.raises(UsageError, match=words):
        tb.tasks.super_resolve(bits(), None, x, **how)
