"""The importance estimate against exact evidence, and its error bars against its errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from tests.evidence.toys import (
    estimate,
    explicit_log_weights,
    pixels,
    repeated,
    scaled,
)
from tests.oracles.linear_gaussian import data, exact_parts, log_evidence
from tests.ztest import LIMIT, paired_z, z_of_mean
from tightbound.evidence.estimate import of_log_weights
from tightbound.evidence.importance.pareto import khat, tail_length, threshold
from tightbound.evidence.importance.tail import widened

REPLICAS = 10_000


@pytest.fixture(scope="module")
def wide():
    """10,000 estimates of one log p(x) from 200 draws each, and the exact value."""
    parts = scaled(exact_parts(1), 1.7, shift=0.4)
    x, exact = repeated(parts, REPLICAS)
    return estimate(parts, x, k=200, chunk=50), exact


@pytest.mark.parametrize("layers", [1, 2])
def test_exact_posterior_gives_the_evidence_without_error(layers):
    parts, x = exact_parts(layers), data(20)
    ev = estimate(parts, x, k=1000, chunk=100)
    exact = log_evidence(parts.model, x)
    np.testing.assert_allclose(ev.log_z, exact, atol=1e-4)
    np.testing.assert_allclose(ev.elbo, exact, atol=1e-4)
    np.testing.assert_allclose(ev.bounds, np.repeat(exact[:, None], 5, axis=1), atol=1e-4)
    np.testing.assert_allclose(ev.stderr, 0, atol=1e-4)
    np.testing.assert_allclose(ev.ess, 1000, rtol=1e-4)
    assert np.all(ev.ess <= 1000)
    assert np.all(ev.khat <= threshold(1000))


@pytest.mark.stat
def test_mean_of_the_estimates_is_the_evidence(wide):
    ev, exact = wide
    assert abs(z_of_mean(np.exp(ev.log_z - exact), 1.0)) < LIMIT


@pytest.mark.stat
def test_standard_errors_are_calibrated(wide):
    # False-alarm rate 1e-6 for the test of Kolmogorov and Smirnov, LIMIT's for the spread. A wrong
    # factor of 1.1 in the standard error fails both. The bias of log Z-hat, stderr / 2 in units
    # of the standard error, is taken off; the rest of the deviation from N(0, 1) is O(1/k).
    ev, exact = wide
    z = (ev.log_z - exact + 0.5 * ev.stderr**2) / ev.stderr
    assert stats.kstest(z, "norm").pvalue > 1e-6
    assert abs(np.std(z) - 1) < LIMIT / np.sqrt(2 * REPLICAS)


@pytest.mark.stat
def test_log_is_low_by_the_documented_bias(wide):
    # At 50 draws; the variance of the weights is known better, from all 200.
    ev, exact = wide
    low = ev.bounds[:, 2]
    assert z_of_mean(low, exact) < -LIMIT
    assert abs(z_of_mean(low + 0.5 * ev.stderr**2 * 200 / 50, exact)) < LIMIT


@pytest.mark.stat
def test_bound_rises_with_k_and_stays_below(wide):
    ev, exact = wide
    for fewer, more in zip(ev.bounds.T[:-1], ev.bounds.T[1:], strict=True):
        assert paired_z(more, fewer) > LIMIT
    assert np.all(z_of_mean(ev.bounds, exact) < LIMIT)
    np.testing.assert_array_equal(ev.log_z, ev.bounds[:, -1])


@pytest.mark.stat
def test_two_layers_agree_with_the_exact_value():
    parts = scaled(exact_parts(2), 1.3, shift=0.2)
    x, exact = repeated(parts, 2000)
    ev = estimate(parts, x, k=200, chunk=50)
    assert abs(z_of_mean(np.exp(ev.log_z - exact), 1.0)) < LIMIT
    assert abs(z_of_mean(ev.log_z + 0.5 * ev.stderr**2, exact)) < LIMIT


@pytest.mark.stat
def test_pixels_agree_with_quadrature():
    # 4.5 standard errors: false-alarm rate 7e-6 for each of 8 items.
    parts, x, exact = pixels(8)
    ev = estimate(parts, x, k=5000, chunk=500)
    assert np.all(np.abs(exact) > 400)
    assert np.all(np.abs(ev.log_z - exact) < 4.5 * ev.stderr)
    assert np.all(ev.stderr < 0.05)
    assert np.all(ev.khat <= threshold(5000))


@pytest.mark.parametrize("toy", ["gaussian", "pixels"])
def test_every_number_equals_its_formula_in_float64(toy):
    if toy == "gaussian":
        parts, x = scaled(exact_parts(1), 0.6, shift=0.5), data(6)
    else:
        parts, x, _ = pixels(6)
    k = 1000
    ev = estimate(parts, x, k=k, chunk=70)
    log_w = explicit_log_weights(parts, x, k=k)
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    np.testing.assert_allclose(ev.log_z, special.logsumexp(log_w, axis=1) - np.log(k), rtol=1e-6)
    stderr = widened(k) * w.std(axis=1, ddof=1) / np.sqrt(k) / w.mean(axis=1)
    by_array = jax.jit(of_log_weights)(jnp.asarray(log_w, jnp.float32))
    # The decoder's products round by their shape, and the tail is made of the largest weights.
    tolerance, of_tail = (1e-5, 1e-3) if toy == "gaussian" else (2e-3, 2e-2)
    # No less than the delta method's, and no more where the tail ends.
    assert np.all(ev.stderr > stderr * (1 - tolerance))
    np.testing.assert_allclose(ev.stderr, by_array.stderr, rtol=of_tail)
    ends = ev.khat <= 0
    np.testing.assert_allclose(ev.stderr[ends], stderr[ends], rtol=tolerance)
    for name in ("missing", "most_missing"):
        np.testing.assert_allclose(getattr(ev, name), by_array.tail[name], rtol=3 * of_tail)
    np.testing.assert_allclose(ev.ess, w.sum(axis=1) ** 2 / (w**2).sum(axis=1), rtol=tolerance)
    np.testing.assert_allclose(ev.elbo, log_w.mean(axis=1), rtol=1e-6)
    largest = np.sort(log_w, axis=1)[:, -(tail_length(k) + 1) :].astype(np.float32)
    np.testing.assert_allclose(ev.khat, jax.vmap(khat)(jnp.asarray(largest)), atol=of_tail)
    for column, j in enumerate((1, 5, 50, 500, 1000)):
        bound = special.logsumexp(log_w[:, :j], axis=1) - np.log(j)
        np.testing.assert_allclose(ev.bounds[:, column], bound, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wide", [1.0, 3.0, 0.3])
def test_the_jackknife_beside_it_is_the_bound_of_the_same_draws(wide):
    parts, x = scaled(exact_parts(1), wide), data(20)
    log_w = explicit_log_weights(parts, x, k=400)
    truth = np.array([jackknifed(row) for row in log_w])
    found = estimate(parts, x, k=400, chunk=70)
    np.testing.assert_allclose(found.jackknife, truth, atol=2e-3, rtol=2e-3)


def jackknifed(log_w):
    """(k - 1) (L_k - mean of L_{k-1} without one draw), in float64, draw by draw."""
    k, weights = len(log_w), np.exp(log_w - log_w.max())
    without = np.log((weights.sum() - weights) / (k - 1))
    return (k - 1) * (np.log(weights.mean()) - without.mean())


def test_one_draw_has_no_standard_error():
    ev = estimate(exact_parts(1), data(3), k=1, chunk=1)
    np.testing.assert_array_equal(ev.log_z, ev.elbo)
    np.testing.assert_array_equal(ev.ess, 1)
    assert np.all(np.isnan(ev.stderr))
    assert np.all(np.isnan(ev.khat))
