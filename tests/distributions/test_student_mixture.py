"""The mixture of Student-t laws against SciPy's, and its draws against its moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.ztest import LIMIT, z_of_mean

from tightbound.core.errors import UsageError
from tightbound.distributions import StudentMixture

SHARE = np.array([2.0, 1.0, 0.5])
LOCATION = np.array([[0.0, 1.0], [5.0, -3.0], [-4.0, 0.5]])
FACTOR = np.array([[[1.0, 0.0], [0.6, 0.8]], [[0.3, 0.2], [-0.1, 2.0]], [[0.0, 1.0], [2.0, 0.3]]])
POINTS = np.random.default_rng(0).normal(scale=6, size=(50, 2)).astype(np.float32)
DRAWS = 40_000


def mixture(**more):
    return StudentMixture.of(SHARE, LOCATION, FACTOR, **more)


def log_prob(law, points=POINTS):
    return np.asarray(jax.jit(jax.vmap(law.log_prob))(jnp.asarray(points)), np.float64)


def test_the_density_is_scipys():
    shares = SHARE / SHARE.sum()
    truth = sum(
        share * stats.multivariate_t(at, factor @ factor.T, df=5).pdf(POINTS)
        for share, at, factor in zip(shares, LOCATION, FACTOR, strict=True)
    )
    np.testing.assert_allclose(log_prob(mixture(dof=5)), np.log(truth), rtol=0, atol=2e-5)


@pytest.mark.stat
def test_draws_have_the_moments_and_the_shares_of_the_law(getkey):
    # Eight numbers at 4.9 standard errors: false alarms below 1e-5. With 10 degrees of freedom
    # the fourth moment is finite, so that a z of second moments is one.
    law = mixture(dof=10, components=8)
    draws = jax.jit(jax.vmap(lambda key: law.sample(key=key)))(jax.random.split(getkey(), DRAWS))
    draws = np.asarray(draws, np.float64)
    shares = SHARE / SHARE.sum()
    mean = shares @ LOCATION
    np.testing.assert_allclose(law.mean(), mean, rtol=1e-5)
    second = sum(
        share * (10 / 8 * factor @ factor.T + np.outer(at, at))
        for share, at, factor in zip(shares, LOCATION, FACTOR, strict=True)
    )
    products = draws[:, [0, 0, 1]] * draws[:, [0, 1, 1]]
    assert np.abs(z_of_mean(draws, mean)).max() < LIMIT
    assert np.abs(z_of_mean(products, second[[0, 0, 1], [0, 1, 1]])).max() < LIMIT
    # E[p / q] = 1 under draws of q: sampler and density belong to the same law.
    normal = stats.multivariate_normal(LOCATION[0], FACTOR[0] @ FACTOR[0].T)
    ratios = np.exp(normal.logpdf(draws) - log_prob(law, draws.astype(np.float32)))
    assert abs(z_of_mean(ratios, 1.0)) < LIMIT


def test_empty_places_change_nothing(getkey):
    plain, filled = mixture(), mixture(components=7)
    assert filled.location.shape == (7, 2)
    np.testing.assert_allclose(log_prob(filled), log_prob(plain), rtol=1e-6)
    each = jax.jit(jax.vmap(filled.log_each))(jnp.asarray(POINTS))
    assert np.all(np.isneginf(each[:, 3:]))
    keys = jax.random.split(getkey(), 200)
    assert np.all(np.isfinite(jax.jit(jax.vmap(lambda key: filled.sample(key=key)))(keys)))
    slopes = [jax.jit(jax.grad(of.log_prob))(jnp.asarray(POINTS[0])) for of in (filled, plain)]
    np.testing.assert_allclose(*slopes, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((SHARE[:2], LOCATION, FACTOR), r"expected shares \(3,\)"),
        ((SHARE, LOCATION, FACTOR[:, :, :1]), r"factors \(3, 2, 2\)"),
        ((SHARE, LOCATION, FACTOR * np.array([1.0, 0.0, 1.0])[:, None, None]), "singular"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        StudentMixture.of(*arguments)


def test_too_few_degrees_of_freedom_and_places_are_refused():
    with pytest.raises(UsageError, match="dof of 3 or more"):
        mixture(dof=2)
    with pytest.raises(UsageError, match="places"):
        mixture(components=2)
