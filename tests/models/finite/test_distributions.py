import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from tests.models.finite import models
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.distributions import (
    BernoulliComponents,
    BernoulliPrior,
    Categorical,
    GaussianComponents,
)

PRIORS = {
    "categorical": Categorical(jnp.array([0.5, -1.0, 2.0, 0.0])),
    "bernoulli": BernoulliPrior(jnp.array([0.5, -1.0, 2.0])),
}
every_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)


@every_prior
def test_the_values_are_all_there_are_and_their_masses_add_up_to_one(prior):
    values = np.asarray(prior.enumerate())
    assert len(values) == prior.states == len(np.unique(values, axis=0))
    assert set(np.unique(values)) == {0.0, 1.0}
    log_p = jax.vmap(lambda z: prior.log_prob(z, None))(prior.enumerate())
    np.testing.assert_allclose(np.exp(log_p).sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(log_p) @ values, prior.mean(), rtol=1e-5)


def test_the_order_of_the_values_is_that_of_counting():
    np.testing.assert_array_equal(PRIORS["categorical"].enumerate(), np.eye(4))
    counted = [[int(digit) for digit in f"{i:03b}"] for i in range(8)]
    np.testing.assert_array_equal(PRIORS["bernoulli"].enumerate(), counted)


@every_prior
@pytest.mark.stat
def test_draws_have_the_mean_and_come_with_their_mass(prior):
    # Four and three comparisons at 4.9 standard errors: false alarms below 1e-5.
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws, log_p = jax.vmap(lambda key: prior.sample_and_log_prob(None, key=key))(keys)
    assert np.abs(z_of_mean(draws, prior.mean())).max() < LIMIT
    again = jax.vmap(lambda z: prior.log_prob(z, None))(draws)
    np.testing.assert_array_equal(log_p, again)
    assert {tuple(row) for row in np.asarray(draws)} == {
        tuple(row) for row in np.asarray(prior.enumerate())
    }


def test_priors_ignore_what_is_given_and_say_what_they_are():
    for prior in PRIORS.values():
        z, x = prior.enumerate()[1], jnp.ones(7)
        assert prior.log_prob(z, x) == prior.log_prob(z, None)
        assert (prior.support, prior.reparameterized) == ("binary", False)


def test_too_many_units_are_refused_in_words():
    assert BernoulliPrior(jnp.zeros(16)).enumerate().shape == (65536, 16)
    with pytest.raises(tb.UsageError, match=r"at most 16 binary latent units .* got 17 .*evaluate"):
        BernoulliPrior(jnp.zeros(17)).enumerate()


@pytest.mark.parametrize("d", [1, 2, 5])
def test_gaussian_components_are_those_of_scipy(d):
    rng = np.random.default_rng(d)
    factors = np.tril(rng.normal(size=(3, d, d)), -1) + 0.5 * np.eye(d)
    covariances, means = factors @ factors.transpose(0, 2, 1), rng.normal(size=(3, d))
    p = GaussianComponents.from_covariances(
        jnp.asarray(means, jnp.float32), jnp.asarray(covariances, jnp.float32)
    )
    np.testing.assert_allclose(p.covariances(), covariances, rtol=1e-4, atol=1e-5)
    assert p.below.shape == (3, d * (d - 1) // 2)
    x = rng.normal(size=d).astype(np.float32)
    for k, z in enumerate(jnp.eye(3)):
        truth = stats.multivariate_normal.logpdf(x, means[k], covariances[k])
        np.testing.assert_allclose(p.log_prob(jnp.asarray(x), z), truth, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(p.mean(z), p.means[k])


def test_any_parameters_give_covariances_of_full_rank():
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(3 * rng.normal(size=shape), jnp.float32)  # noqa: E731
    p = GaussianComponents(draw(4, 3), draw(4, 3), draw(4, 3))
    assert (np.linalg.det(np.asarray(p.factors(), np.float64)) > 0).all()
    assert np.isfinite(p.log_prob(jnp.zeros(3), jnp.eye(4)[0]))


@pytest.mark.stat
def test_draws_of_gaussian_components_have_their_moments():
    # 2 means and 3 second moments: false alarms below 1e-5.
    p = models.three_gaussians().likelihood
    keys = jax.random.split(jax.random.key(3), 20_000)
    x, log_p = jax.vmap(lambda key: p.sample_and_log_prob(jnp.eye(3)[2], key=key))(keys)
    centred = np.asarray(x) - models.MEANS[2]
    assert np.abs(z_of_mean(centred)).max() < LIMIT
    products = (centred[:, :, None] * centred[:, None, :]).reshape(-1, 4)
    assert np.abs(z_of_mean(products, models.COVARIANCES[2].ravel())).max() < LIMIT
    assert log_p[0] == p.log_prob(x[0], jnp.eye(3)[2])
    assert (p.support, p.reparameterized) == ("real", True)


def test_bernoulli_components_are_products():
    p = models.pixel_mixture().likelihood
    assert isinstance(p, BernoulliComponents)
    assert (p.support, p.reparameterized) == ("binary", False)
    x = models.binary_data(1)[0]
    for k, z in enumerate(jnp.eye(3)):
        truth = stats.bernoulli.logpmf(x, special.expit(p.logits[k])).sum()
        np.testing.assert_allclose(p.log_prob(jnp.asarray(x), z), truth, rtol=1e-5)
    value, log_p = p.sample_and_log_prob(jnp.eye(3)[1], key=jax.random.key(0))
    assert set(np.unique(value)) <= {0.0, 1.0}
    assert log_p == p.log_prob(value, jnp.eye(3)[1])
