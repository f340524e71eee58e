"""Splines and flows of them: inverses, densities by quadrature, and where they begin.

False alarms: one goodness-of-fit test at p < 1e-6; the keys are fixed.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.distributions import splines

BINS = 4
X = jnp.asarray([0.3, -1.2])
SLOPE = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
"""That of `linear_gaussian_simulator`, whose noise has the standard deviation 1/2."""


def raw(seed):
    return 2 * jax.random.normal(jax.random.key(seed), (splines.n_parameters(BINS),))


def flow_for(model, **options) -> Any:
    return tb.posterior(model, "flow", **options)


def moved(flow, seed=0):
    """The same flow far from where it began."""
    arrays, rest = eqx.partition(flow, eqx.is_inexact_array)
    rng = np.random.default_rng(seed)
    shifted = jax.tree.map(
        lambda a: a + jnp.asarray(0.3 * rng.standard_normal(a.shape), a.dtype), arrays
    )
    return eqx.combine(shifted, rest)


@pytest.fixture(scope="module")
def flow():
    """A flow of two latents given two columns, moved."""
    return moved(flow_for(tb.models.problems.two_moons().model, hidden=(8,)))


def test_splines_are_inverted_and_have_their_derivative():
    x = jnp.linspace(-6.0, 6.0, 301)
    y, log_slope = jax.jit(jax.vmap(splines.forward, in_axes=(0, None)))(x, raw(0))
    back, log_slope_back = jax.jit(jax.vmap(splines.inverse, in_axes=(0, None)))(y, raw(0))
    assert np.all(np.diff(y) > 0)
    np.testing.assert_allclose(back, x, atol=2e-4)
    np.testing.assert_allclose(log_slope_back, log_slope, atol=5e-3)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: splines.forward(x, raw(0))[0])))(x)
    np.testing.assert_allclose(np.exp(log_slope), slope, rtol=1e-3)
    outside = np.abs(x) >= splines.BOUND
    np.testing.assert_array_equal(y[outside], x[outside])
    np.testing.assert_array_equal(log_slope[outside], 0.0)


def test_zeros_are_the_identity():
    x = jnp.linspace(-6.0, 6.0, 101)
    y, log_slope = jax.jit(jax.vmap(splines.forward, in_axes=(0, None)))(x, jnp.zeros_like(raw(0)))
    np.testing.assert_allclose(y, x, atol=1e-5)
    np.testing.assert_allclose(log_slope, 0.0, atol=1e-5)


@pytest.mark.slow
def test_the_density_integrates_to_one_and_is_that_of_the_draws(flow):
    points = np.linspace(-8, 8, 801)
    grid = jnp.asarray(np.stack(np.meshgrid(points, points, indexing="ij"), -1), jnp.float32)
    log_p = jax.jit(jax.vmap(jax.vmap(lambda z: flow.log_prob(z, X))))(grid)
    mass = np.exp(np.asarray(log_p, np.float64)) * (points[1] - points[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=2e-3)
    keys = jax.random.split(jax.random.key(1), 20_000)
    z, said = jax.jit(jax.vmap(lambda key: flow.sample_and_log_prob(X, key=key)))(keys)
    again = jax.jit(jax.vmap(lambda z: flow.log_prob(z, X)))(z)
    np.testing.assert_allclose(said, again, atol=5e-3)
    for axis in (0, 1):
        cdf = np.cumsum(mass.sum(axis=1 - axis))
        u = np.interp(z[:, axis], points + (points[1] - points[0]) / 2, cdf)
        assert stats.kstest(u, "uniform").pvalue > 1e-6


@pytest.mark.slow
def test_gradients_are_finite_far_outside(flow):
    gradient = eqx.filter_jit(eqx.filter_grad(lambda flow, z: flow.log_prob(z, 100 * X)))
    for z in (jnp.array([1e3, -1e3]), jnp.array([5.0, -5.0])):
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient(flow, z)))


@pytest.mark.slow
def test_it_begins_as_the_linear_regression():
    """Of z on x, which is the exact posterior: but for the noise of 20,000 pairs."""
    problem = tb.models.problems.linear_gaussian_simulator()
    flow = flow_for(problem.model)
    covariance = np.linalg.inv(np.eye(2) + SLOPE.T @ SLOPE / 0.25)
    x = jnp.asarray([0.4, -0.2, 0.3])
    mean = covariance @ SLOPE.T @ np.asarray(x) / 0.25
    keys = jax.random.split(jax.random.key(1), 20_000)
    z = np.asarray(jax.jit(jax.vmap(lambda key: flow.sample(x, key=key)))(keys))
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(z.T), covariance, atol=0.01)
    np.testing.assert_allclose(flow.mean(x), mean, atol=0.02)


@pytest.mark.slow
def test_without_draws_it_begins_as_the_standard_normal():
    target = tb.Target(lambda z: -0.5 * jnp.sum(z**2), 3)
    flow = flow_for(target, hidden=(4,))
    z = jnp.asarray([0.3, -1.0, 2.0])
    truth = stats.norm.logpdf(np.asarray(z)).sum()
    assert flow.log_prob(z, jnp.zeros(0)) == pytest.approx(truth, abs=1e-5)
    one = moved(flow_for(tb.Target(lambda z: -0.5 * jnp.sum(z**2), 1), hidden=(4,)))
    points = np.linspace(-9, 9, 4001, dtype=np.float32)
    log_p = jax.jit(jax.vmap(lambda z: one.log_prob(z, jnp.zeros(0))))(points[:, None])
    mass = np.exp(np.asarray(log_p, np.float64)).sum() * (points[1] - points[0])
    assert mass == pytest.approx(1, abs=1e-3)


def test_sizes_are_refused():
    with pytest.raises(UsageError, match=r"expected hidden\[1\] >= 1"):
        tb.posterior(tb.models.problems.two_moons().model, "flow", hidden=(8, 0))
