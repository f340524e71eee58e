"""The jackknife of any order against its definition, and its bias against Gamma weights.

False alarms: 12 means at 4.9 standard errors, below 2e-5 for new draws; the draws are fixed.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from tests.ztest import LIMIT, z_of_mean

from tightbound.bounds import IWAE, Jackknife
from tightbound.bounds.jackknife import coefficients
from tightbound.core.errors import UsageError


def by_definition(log_w, order):
    """Nowozin 2018, eq. 20-21, over all subsets, in float64."""
    log_w = np.asarray(log_w, np.float64)
    k, total = len(log_w), 0.0
    for j in range(order + 1):
        subsets = list(itertools.combinations(range(k), k - j))
        means = [special.logsumexp(log_w[list(s)]) - math.log(k - j) for s in subsets]
        total += coefficients(k, order)[j] * np.mean(means)
    return total


@functools.cache
def value(order):
    return jax.jit(Jackknife(order).value)


@functools.cache
def weights_of(order):
    return jax.jit(Jackknife(order).weights)


def log_weights(k, spread, seed=0):
    return (spread * np.random.default_rng(seed).standard_normal(k) - 100).astype(np.float32)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("spread", [0.0, 0.05, 1.0, 8.0])
def test_it_is_the_mean_over_all_subsets(order, spread):
    log_w = log_weights(9, spread)
    assert abs(float(value(order)(log_w)) - by_definition(log_w, order)) < 2e-4


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_all_pairs_of_500_draws(spread):
    log_w = log_weights(500, spread)
    w = np.exp(np.asarray(log_w, np.float64) + 100)
    i, j = np.triu_indices(500, 1)
    without = [w.sum(), w.sum() - w, w.sum() - w[i] - w[j]]
    means = [np.mean(np.log(rest / (500 - n))) - 100 for n, rest in enumerate(without)]
    assert abs(float(value(2)(log_w)) - np.dot(coefficients(500, 2), means)) < 1e-3


# All but one weight are e^-1000 of it: as a share of the whole they would be zero.
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    "gap", [pytest.param(gap, marks=pytest.mark.slow) for gap in (50.0, 95.0)] + [1000.0]
)
def test_weights_may_be_hundreds_of_nats_apart(order, gap):
    log_w = np.array([-gap - 5, 0.0, -gap, -gap - 10, -gap - 7, -2 * gap], np.float32)
    exact = by_definition(log_w, order)
    assert abs(float(value(order)(log_w)) - exact) < 1e-5 * abs(exact)
    slopes = [
        (by_definition(log_w + h, order) - by_definition(log_w - h, order)) / 2e-3
        for h in 1e-3 * np.eye(6)
    ]
    np.testing.assert_allclose(jax.grad(value(order))(jnp.asarray(log_w)), slopes, atol=1e-3)
    np.testing.assert_allclose(weights_of(order)(log_w), slopes, atol=1e-3)


# The coefficients reach 1,200 and 20,000 here: float32 does, because it sums small differences.
@pytest.mark.parametrize(
    ("k", "order"), [(50, 1), (50, 2), pytest.param(32, 3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("spread", [0.05, 1.0, 5.0])
def test_single_precision_does_for_large_coefficients(k, order, spread):
    log_w = log_weights(k, spread, seed=k)
    assert max(map(abs, coefficients(k, order))) > 48
    found = float(value(order)(log_w))
    assert abs(found - by_definition(log_w, order)) < (5e-4 if order == 3 else 2e-4)
    # Their exact sum is one. The weights of order 3 are the least precise: within one per cent.
    weights = np.asarray(weights_of(order)(log_w), np.float64)
    assert abs(weights.sum() - 1) < (1e-2 if order == 3 else 3e-4) * np.abs(weights).sum()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_or_two_dominant_weights_lose_no_precision(order):
    # The share of all others is 1e-7 of the whole: 1 minus the rest would round it away.
    for top in ([0.0], [0.0, 0.0], [0.0, -3.0]):
        log_w = np.array([*top, *(-17.0 - 0.1 * np.arange(7))], np.float32)
        truth = by_definition(log_w, order)
        assert abs(float(value(order)(log_w)) - truth) < 2e-5 * max(abs(truth), 10)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("spread", [0.05, 1.0, 6.0])
def test_weights_are_its_slopes(order, spread):
    log_w = log_weights(8, spread, seed=3)
    step = 1e-5 * np.eye(8)
    slopes = [
        (by_definition(log_w + s, order) - by_definition(log_w - s, order)) / 2e-5 for s in step
    ]
    weights = weights_of(order)(log_w)
    np.testing.assert_allclose(weights, slopes, rtol=1e-4, atol=2e-5)


def exact_bias(a, k, order):
    """E[JVI] - log a for w ~ Gamma(a, 1): E[L_k] = digamma(k a) - log k."""
    c = coefficients(k, order)
    means = [special.digamma((k - j) * a) - math.log(k - j) for j in range(order + 1)]
    return math.fsum(x * y for x, y in zip(c, means, strict=True)) - math.log(a)


# The published digits are those of the digamma function, computed in another program.
@pytest.mark.parametrize(
    ("a", "k", "biases"),
    [
        (1.0, 8, (-6.380e-2, 1.480e-3, 1.043e-5, -4.413e-6)),
        (1.0, 32, (-1.571e-2, 8.398e-5, 2.707e-8, -9.606e-9)),
        (0.1, 8, (-7.419e-1, 1.085e-1, 2.812e-2, 6.657e-3)),
        (0.1, 32, (-1.643e-1, 8.164e-3, 2.342e-4, -6.064e-5)),
    ],
)
def test_the_exact_bias_falls_with_the_order(a, k, biases):
    for order, bias in enumerate(biases):
        np.testing.assert_allclose(exact_bias(a, k, order), bias, rtol=2e-3)


@pytest.mark.stat
@pytest.mark.parametrize("a", [0.1, 1.0])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("k", [4, 16])
def test_gamma_weights_have_the_exact_mean(a, order, k):
    n = 2**15
    log_w = np.log(np.random.default_rng([k, order]).gamma(a, size=(n, k))).astype(np.float32)
    values = jax.jit(jax.vmap(Jackknife(order).value))(jnp.asarray(log_w))
    assert abs(z_of_mean(values, math.log(a) + exact_bias(a, k, order))) < LIMIT


def test_order_zero_is_the_importance_weighted_bound():
    log_w = jnp.asarray(log_weights(7, 2.0))
    assert Jackknife(0).value(log_w) == IWAE().value(log_w)
    assert Jackknife(0).kind == "lower"
    assert Jackknife(1).kind == "consistent"


def test_an_order_that_leaves_nothing_is_refused():
    with pytest.raises(UsageError, match="order < k, got order=3 with k=3"):
        Jackknife(3).value(jnp.zeros(3))
