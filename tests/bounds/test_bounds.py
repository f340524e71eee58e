"""Bounds as functions of log-weights: closed forms, limits, derivatives; the choice of draws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from tests.cases import CASES
from tests.ztest import LIMIT

from tightbound.bounds import ELBO, IWAE, Jackknife
from tightbound.gradients import Reparameterized, SingleSample

OBJECTIVES = [case.objective for case in CASES.values()]
BOUNDS = {
    repr(o.bound_on_draws): o.bound_on_draws for o in OBJECTIVES if hasattr(o, "bound_on_draws")
}
every_bound = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
INFINITY = float("inf")
LOG_W = [(0.3, -0.7, 1.1, 0.9, -0.4, 0.2), (20.0, 19.0, 0.0, -5.0, 1.0, 2.0)]


@functools.cache
def value_of(bound):
    """The bound, compiled: one operation after the other takes ten times as long to compile."""
    return jax.jit(bound.value)


def of(*log_w):
    return jnp.asarray(log_w, dtype=jnp.float32)


@every_bound
@pytest.mark.parametrize("k", [6, 30, 5001])
@pytest.mark.parametrize("constant", [-1e4, -90.0, 0.0, 90.0, 1e4])
def test_equal_weights_give_their_value(bound, k, constant):
    if isinstance(bound, Jackknife) and bound.order > 1:
        k = min(k, 30)
    value = value_of(bound)(np.full(k, constant, np.float32))
    assert value.shape == ()
    np.testing.assert_allclose(value, constant, rtol=1e-6, atol=1e-6)


@every_bound
def test_a_common_factor_comes_out(bound):
    log_w = of(-3.0, 0.5, 2.0, -1.0, 0.1, -0.2)
    for shift in (-1000.0, -1.5, 88.0, 2000.0):
        moved = value_of(bound)(log_w + shift)
        still = value_of(bound)(log_w)
        np.testing.assert_allclose(moved, still + shift, rtol=1e-6, atol=1e-5)


@every_bound
def test_the_order_of_the_draws_does_not_matter(bound):
    log_w = of(-3.0, 0.5, 2.0, -1.0, 0.1, -0.2)
    value = value_of(bound)
    np.testing.assert_allclose(value(log_w[::-1]), value(log_w), rtol=1e-6)


@pytest.mark.parametrize(
    "log_w",
    [
        (0.3, -0.7, 1.1),
        (1e4, 0.0, -1e4),
        (-90.0, -91.0, -300.0),
        (90.0, 89.0, -90.0, -1e4),
        (-1e4, -10001.0, -10002.0),
        (-INFINITY, 0.5, 0.25),
    ],
)
def test_values_in_closed_form(log_w):
    top = max(log_w)
    truth = top + math.log(math.fsum(math.exp(w - top) for w in log_w) / len(log_w))
    np.testing.assert_allclose(value_of(IWAE())(of(*log_w)), truth, rtol=2e-7, atol=2e-7)
    mean = math.fsum(log_w) / len(log_w)
    np.testing.assert_allclose(value_of(ELBO())(of(*log_w)), mean, rtol=2e-7, atol=2e-7)


@every_bound
def test_weights_that_are_all_zero_give_minus_infinity(bound):
    assert value_of(bound)(jnp.full(6, -INFINITY)) == -INFINITY


def test_a_weight_of_zero_takes_no_part_in_the_derivative():
    log_w = of(-INFINITY, 0.5, 0.25)
    weights = IWAE().weights(log_w)
    assert weights[0] == 0.0
    np.testing.assert_allclose(weights[1:], jax.nn.softmax(log_w[1:]), rtol=1e-6)
    assert np.isfinite(IWAE().path_weights(log_w)).all()


@functools.cache
def derivatives_of(bound):
    """The two kinds of weights, and what they should be by differentiation, in one program."""
    return jax.jit(
        lambda log_w: (
            bound.weights(log_w),
            jax.grad(bound.value)(log_w),
            bound.path_weights(log_w),
            jnp.diag(jax.hessian(bound.value)(log_w)),
        )
    )


@every_bound
@pytest.mark.parametrize("log_w", LOG_W)
def test_weights_and_path_weights_are_derivatives(bound, log_w):
    weights, gradient, path_weights, own = derivatives_of(bound)(of(*log_w))
    np.testing.assert_allclose(weights, gradient, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(path_weights, weights - own, rtol=1e-5, atol=1e-6)


# w ~ Gamma(a, 1): the mean of k of them is Gamma(k a, 1/k), so that E[L_k] = digamma(k a) - log k
# and Var[L_k] = trigamma(k a). 9 numbers at 4.9 standard errors: false alarms below 1e-5.
@pytest.mark.stat
@pytest.mark.parametrize("a", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("k", [1, 8, 32])
def test_gamma_weights_have_the_exact_mean_and_variance(a, k):
    n = 2**15
    rng = np.random.default_rng([k, int(10 * a)])
    log_w = np.log(rng.gamma(a, size=(n, k))).astype(np.float32)
    values = np.asarray(jax.jit(jax.vmap(IWAE().value))(log_w), np.float64)
    mean, variance = special.digamma(k * a) - np.log(k), special.polygamma(1, k * a)
    assert abs(values.mean() - mean) / np.sqrt(variance / n) < LIMIT
    np.testing.assert_allclose(values.var(), variance, rtol=0.06)
    assert mean < np.log(a)


# 5 counts at 4.9 standard deviations each.
@pytest.mark.stat
@pytest.mark.parametrize("draws", [1, 4])
def test_draws_are_chosen_in_proportion_to_their_weights(draws):
    estimator, n = SingleSample(draws=draws), 2**15
    weights = of(0.05, 0.5, 0.0, 0.15, 0.3)
    keys = jax.random.split(jax.random.key(8), n)
    chosen = jax.jit(jax.vmap(lambda key: estimator.choose(weights, key=key)))(keys)
    assert chosen.shape == (n, draws)
    counts = np.stack([np.sum(chosen == i, axis=1) for i in range(5)], axis=1)
    expected = draws * np.asarray(weights, np.float64)
    error = counts.std(axis=0) / np.sqrt(n) + 1e-12
    assert np.abs((counts.mean(axis=0) - expected) / error).max() < LIMIT
    # Systematic resampling: no count is off by one or more.
    assert np.abs(counts - expected).max() < 1
    assert counts[:, 2].max() == 0


# A total that rounding leaves below one, and uniform numbers that it makes one: an index of weight
# zero would give 0 / 0 in the score's coefficient.
@pytest.mark.parametrize("draws", [1, 3, 4])
@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.0), (0.5, 0.4999, 0.0), (0.0, 1.0, 0.0)])
def test_an_index_of_weight_zero_is_never_chosen(monkeypatch, draws, weights):
    for uniform in (0.0, 1 - 2**-23):
        monkeypatch.setattr(jax.random, "uniform", lambda key, u=uniform: jnp.float32(u))
        estimator = SingleSample(Reparameterized(), draws)
        chosen = estimator.choose(of(*weights), key=jax.random.key(0))
        assert chosen.shape == (draws,)
        assert np.all(of(*weights)[chosen] > 0)
        assert np.all(chosen < len(weights))
