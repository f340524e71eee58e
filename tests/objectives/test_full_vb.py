"""Variational Bayes over parameters, on a model where every expectation is known.

x = theta + z + noise in two dimensions, theta ~ N(0, SCALE^2), z ~ N(0, 1), noise ~ N(0, S^2).
False alarms: 12 numbers at 4.9 standard errors, below 2e-5 for a new set of keys.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats
from tests import once
from tests.oracles.linear_gaussian import affine_normal
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.streams import item_keys
from tightbound.distributions import AbstractExplicit, StandardNormal
from tightbound.models import Model, bayesian
from tightbound.objectives import Params, elbo, full_vb, iwae, jvi

SCALE, S, D = 1.5, 0.7, 2


class Shifted(AbstractExplicit):
    """N(theta + z, S^2 I)."""

    theta: jax.Array

    @property
    def support(self):
        return "real"

    def sample(self, given, *, key):
        return self.mean(given) + S * jax.random.normal(key, self.theta.shape)

    def log_prob(self, value, given):
        away = (value - self.mean(given)) / S
        return -0.5 * jnp.sum(away**2 + jnp.log(2 * jnp.pi * S**2))

    def mean(self, given):
        return self.theta + given


def parts_of():
    model = Model(StandardNormal(D), Shifted(jnp.array([0.4, -0.3])))
    posterior = affine_normal(
        np.array([[0.5, 0.1], [0.0, 0.6]]), np.array([0.1, -0.2]), np.array([0.6, 0.5])
    )
    return Params(bayesian(model, scale=SCALE, sigma=0.3), posterior)


def data(n):
    rng = np.random.default_rng(5)
    theta = np.array([1.0, -0.5])
    return (theta + np.sqrt(1 + S**2) * rng.standard_normal((n, D))).astype(np.float32)


def expected_bound(parts, x, n):
    """The bound's mean over z and theta in closed form, per datum in nats."""
    mu, (log_sigma,) = parts.model.mean.likelihood.theta, parts.model.log_sigma
    variance = jnp.exp(2 * log_sigma)
    mean = x @ parts.posterior.location.weight + parts.posterior.location.bias
    log_scale = x @ parts.posterior.log_scale.weight + parts.posterior.log_scale.bias
    of_z = jnp.exp(2 * log_scale)
    error = (x - mu - mean) ** 2 + of_z + variance
    log_lik = -0.5 * jnp.sum(error / S**2 + jnp.log(2 * jnp.pi * S**2))
    kl_z = 0.5 * jnp.sum(mean**2 + of_z - 1 - 2 * log_scale)
    ratio = variance / SCALE**2
    kl_theta = 0.5 * jnp.sum((mu / SCALE) ** 2 + ratio - 1 - jnp.log(ratio))
    return log_lik - kl_z - kl_theta / n


@pytest.mark.stat
@pytest.mark.parametrize("inner", [elbo(), elbo(estimator="B"), elbo(gradient="dreg")])
def test_bound_and_gradient_have_the_closed_form_as_their_mean(inner):
    parts, x, n = parts_of(), jnp.asarray(data(3)), 20

    def one(key):
        step = once.step(full_vb(inner, n), parts, x, item_keys(key, jnp.arange(3)))
        return jnp.mean(step.bound), ravel_pytree(eqx.filter(step.grads, eqx.is_array))[0]

    bound, grads = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 2**14))

    def truth(parts):
        return jnp.mean(jax.vmap(lambda x: expected_bound(parts, x, n))(x))

    value, slope = eqx.filter_value_and_grad(truth)(parts)
    assert abs(z_of_mean(np.asarray(bound - value)[:, None])).max() < LIMIT
    slope = ravel_pytree(eqx.filter(slope, eqx.is_array))[0]
    # Estimator B has no noise in some of them.
    away = np.asarray(grads + slope[None], np.float64)
    noisy = away.std(axis=0) > 1e-6
    assert np.abs(z_of_mean(away[:, noisy])).max() < LIMIT
    np.testing.assert_allclose(away[:, ~noisy], 0, atol=1e-5)


def test_the_bound_alone_is_that_of_the_step():
    parts, x = parts_of(), jnp.asarray(data(3))
    keys = item_keys(jax.random.key(0), jnp.arange(3))
    objective = full_vb(iwae(4), 20)
    bound = eqx.filter_jit(functools.partial(once.bound, objective))(parts, x, keys)
    step = once.compiled(objective)(parts, x, keys)
    np.testing.assert_allclose(bound, step.bound, rtol=1e-5)


def test_the_divergence_is_that_of_the_normals():
    model = parts_of().model
    key = jax.random.key(2)
    theta = jax.vmap(lambda k: model.draw(k).likelihood.theta)(jax.random.split(key, 200_000))
    theta = np.asarray(theta, np.float64)
    mu = np.asarray(model.mean.likelihood.theta)
    ratio = stats.norm(mu, 0.3).logpdf(theta) - stats.norm(0, SCALE).logpdf(theta)
    assert float(model.kl()) == pytest.approx(ratio.sum(1).mean(), abs=0.02)
    np.testing.assert_allclose(theta.std(0), 0.3, rtol=0.01)


@pytest.mark.slow
def test_training_finds_the_best_factorised_posterior():
    x, n = data(50), 50
    run = tb.fit(
        parts_of().model,
        parts_of().posterior,
        x,
        objective=full_vb(elbo(gradient="reparameterized", samples=4), n),
        optimizer=optax.adam(optax.cosine_decay_schedule(2e-2, 4000)),
        batch_size=50,
        epochs=4000,
    )
    parts = Params(run.model, run.posterior)
    # Mean field of a normal has the conditional variances: precision of theta given all z, and of
    # z given theta; its means are those of the exact posterior.
    of_theta = 1 / (1 / SCALE**2 + n / S**2)
    np.testing.assert_allclose(np.exp(run.model.log_sigma[0]), np.sqrt(of_theta), rtol=0.1)
    given_x = SCALE**2 / (SCALE**2 + (1 + S**2) / n)
    mean = given_x * x.mean(axis=0)
    np.testing.assert_allclose(run.model.mean.likelihood.theta, mean, atol=0.05)
    scales = np.exp(np.asarray(run.posterior.log_scale.bias))
    np.testing.assert_allclose(scales, np.sqrt(1 / (1 + 1 / S**2)), rtol=0.1)
    bound = np.mean([expected_bound(parts, jnp.asarray(row), n) for row in x])
    cov = (1 + S**2) * np.eye(n) + SCALE**2 * np.ones((n, n))
    exact = sum(stats.multivariate_normal(np.zeros(n), cov).logpdf(x[:, j]) for j in range(D)) / n
    # The gap of mean field: the mutual information of theta and z given x.
    joint = np.linalg.slogdet(
        np.block(
            [
                [np.array([[1 / of_theta]]), np.full((1, n), 1 / S**2)],
                [np.full((n, 1), 1 / S**2), (1 + 1 / S**2) * np.eye(n)],
            ]
        )
    )[1]
    separate = np.log(1 / of_theta) + n * np.log(1 + 1 / S**2)
    gap = 0.5 * (separate - joint) * D / n
    assert bound < exact
    assert bound == pytest.approx(exact - gap, abs=0.02)


@pytest.mark.slow
def test_a_distribution_over_models_is_saved_and_used(tmp_path):
    x = (np.random.default_rng(0).random((30, 6)) < 0.4).astype(np.float32)
    model, posterior = tb.autoencoder(x, latent=2, hidden=(4,))
    objective = full_vb(iwae(5, "dreg"), len(x))
    run = tb.fit(
        bayesian(model), posterior, x, objective=objective, batch_size=10, epochs=2, seeds=2
    )
    assert objective.kind == "lower"
    assert full_vb(jvi(5), 3).kind == "none"
    # Replicas start from other weights and the same uncertainty.
    first, second = (r.model.mean.likelihood.logits.weight for r in run.replicas)
    assert not np.array_equal(first, second)
    tb.save(tmp_path / "m.safetensors", run)
    loaded = tb.load(tmp_path / "m.safetensors").model
    np.testing.assert_array_equal(loaded.log_sigma[0], run.model.log_sigma[0])
    key = jax.random.key(4)
    drawn = tb.evaluate(loaded.draw(key), run.posterior, x, k=50)
    plug_in = tb.evaluate(loaded.mean, run.posterior, x, k=50)
    assert np.all(np.isfinite(drawn.log_evidence))
    assert drawn.mean != plug_in.mean
    with pytest.raises(UsageError, match="plug-in `model.mean`"):
        tb.evaluate(loaded, run.posterior, x, k=50)


def test_wrong_use_is_refused():
    parts = parts_of()
    with pytest.raises(UsageError, match=r"tb.models.bayesian\(model\), got Model"):
        full_vb(elbo(), 5).check(Params(parts.model.mean, parts.posterior))
    with pytest.raises(UsageError, match="n >= 1"):
        full_vb(elbo(), 0)
    for options in ({"scale": 0.0}, {"sigma": -1.0}):
        with pytest.raises(UsageError, match="expected"):
            bayesian(parts.model.mean, **options)
