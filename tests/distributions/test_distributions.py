"""Conditionals against SciPy, quadrature, goodness of fit and far tails.

False alarms: 8 goodness-of-fit tests at p < 1e-6 each; the keys are fixed.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats
from tests.oracles import linear_gaussian

from tightbound.distributions import Bernoulli, DiagonalNormal, StandardNormal
from tightbound.networks import MLP, Dense

LEVEL = 1e-6
DRAWS = 2**14
GIVEN = jnp.asarray([0.7, -1.2])


def dense(n_in, n_out, *, seed):
    rng = np.random.default_rng(seed)
    weight, bias = rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)
    return Dense(jnp.asarray(0.5 * weight, jnp.float32), jnp.asarray(bias, jnp.float32))


def diagonal_normal(dim, *, unit_mean=False):
    trunk = MLP.glorot(2, (4,), key=jax.random.key(1))
    location, log_scale = dense(4, dim, seed=2), dense(4, dim, seed=3)
    return DiagonalNormal(trunk, location, log_scale, unit_mean)


def bernoulli(dim):
    return Bernoulli(MLP.glorot(2, (4,), key=jax.random.key(1)), dense(4, dim, seed=4))


def hidden(conditional):
    """The hidden units in float64, from the weights by hand."""
    layer = conditional.trunk.layers[0]
    return np.tanh(np.asarray(GIVEN, np.float64) @ f64(layer.weight) + f64(layer.bias))


def f64(array):
    return np.asarray(array, np.float64)


def scipy_normal(conditional) -> Any:
    h = hidden(conditional)
    location = h @ f64(conditional.location.weight) + f64(conditional.location.bias)
    if conditional.unit_mean:
        location = special.expit(location)
    log_scale = h @ f64(conditional.log_scale.weight) + f64(conditional.log_scale.bias)
    return stats.norm(location, np.exp(log_scale))


def samples(conditional, given, *, seed=0, n=DRAWS):
    keys = jax.random.split(jax.random.key(seed), n)
    return jax.jit(jax.vmap(lambda key: conditional.sample_and_log_prob(given, key=key)))(keys)


NORMALS = {
    "standard": (StandardNormal(3), None),
    "diagonal": (diagonal_normal(3), GIVEN),
    "unit_mean": (diagonal_normal(3, unit_mean=True), GIVEN),
}
every_normal = pytest.mark.parametrize(("conditional", "given"), NORMALS.values(), ids=NORMALS)
EVERY = {**NORMALS, "bernoulli": (bernoulli(3), GIVEN)}
every_one = pytest.mark.parametrize(("conditional", "given"), EVERY.values(), ids=EVERY)


def truth_of(conditional) -> Any:
    standard = isinstance(conditional, StandardNormal)
    return stats.norm(np.zeros(3), np.ones(3)) if standard else scipy_normal(conditional)


@every_normal
def test_normal_densities_equal_scipy(conditional, given):
    truth = truth_of(conditional)
    for value in ([0.0, 0.0, 0.0], [0.3, -1.7, 2.2], [25.0, -40.0, 3.0]):
        log_prob = conditional.log_prob(jnp.asarray(value), given)
        np.testing.assert_allclose(log_prob, truth.logpdf(value).sum(), rtol=2e-5)
    np.testing.assert_allclose(conditional.mean(given), truth.mean(), rtol=1e-5, atol=1e-6)


def test_bernoulli_masses_equal_scipy():
    conditional = bernoulli(3)
    logits = hidden(conditional) @ f64(conditional.logits.weight) + f64(conditional.logits.bias)
    truth: Any = stats.bernoulli(special.expit(logits))
    for value in np.ndindex(2, 2, 2):
        log_prob = conditional.log_prob(jnp.asarray(value, jnp.float32), GIVEN)
        np.testing.assert_allclose(log_prob, truth.logpmf(value).sum(), rtol=1e-5)
    np.testing.assert_allclose(conditional.mean(GIVEN), truth.mean(), rtol=1e-5)


@every_one
def test_one_event_has_one_number_and_sampling_gives_it_too(conditional, given):
    value, log_prob = conditional.sample_and_log_prob(given, key=jax.random.key(3))
    assert value.shape == (3,)
    assert log_prob.shape == ()
    assert value.dtype == log_prob.dtype == jnp.float32
    np.testing.assert_allclose(log_prob, conditional.log_prob(value, given), rtol=1e-6)
    np.testing.assert_array_equal(value, conditional.sample(given, key=jax.random.key(3)))
    other = conditional.sample(given, key=jax.random.key(4))
    assert np.any(other != value)


def test_supports_are_those_of_the_values():
    assert [conditional.support for conditional, _ in EVERY.values()] == [
        "real",
        "real",
        "unit",
        "binary",
    ]


@pytest.mark.parametrize("unit_mean", [False, True])
def test_normal_densities_integrate_to_one(unit_mean):
    conditional = diagonal_normal(1, unit_mean=unit_mean)
    truth = scipy_normal(conditional)
    grid = np.linspace(truth.mean() - 12 * truth.std(), truth.mean() + 12 * truth.std(), 4001)
    log_prob = jax.vmap(lambda v: conditional.log_prob(v, GIVEN))(jnp.asarray(grid, jnp.float32))
    total = integrate.simpson(np.exp(f64(log_prob)), x=grid[:, 0])
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


def test_bernoulli_masses_add_up_to_one():
    values = jnp.asarray(list(np.ndindex(2, 2, 2)), jnp.float32)
    log_prob = jax.vmap(lambda v: bernoulli(3).log_prob(v, GIVEN))(values)
    np.testing.assert_allclose(np.exp(f64(log_prob)).sum(), 1.0, rtol=1e-6)


# Twice the drop of the log-density from its peak is chi-square: sample() against log_prob().
@pytest.mark.stat
@every_normal
def test_normal_samples_follow_their_density(conditional, given):
    values, log_prob = samples(conditional, given)
    peak = conditional.log_prob(conditional.mean(given), given)
    assert stats.kstest(2 * f64(peak - log_prob), stats.chi2(3).cdf).pvalue > LEVEL
    # The drop has no sign and mixes the units: each unit by itself.
    uniform = truth_of(conditional).cdf(f64(values))
    for unit in range(3):
        assert stats.kstest(uniform[:, unit], stats.uniform.cdf).pvalue > LEVEL / 3
    assert np.abs(np.corrcoef(uniform.T) - np.eye(3)).max() < 4.9 / np.sqrt(DRAWS)


@pytest.mark.stat
def test_bernoulli_samples_follow_their_masses():
    values, log_prob = samples(bernoulli(3), GIVEN)
    assert set(np.unique(values)) == {0.0, 1.0}
    codes, first, counts = np.unique(
        np.asarray(values) @ [4, 2, 1], return_index=True, return_counts=True
    )
    assert len(codes) == 8
    expected = DRAWS * np.exp(f64(log_prob)[first])
    assert stats.chisquare(counts, expected * DRAWS / expected.sum()).pvalue > LEVEL
    np.testing.assert_allclose(expected.sum(), DRAWS, rtol=1e-5)


# A chain of linear normals is one joint normal: whitened, its draws are standard normal.
@pytest.mark.stat
@pytest.mark.parametrize("direction", ["down", "up"])
def test_layered_samples_and_densities_are_those_of_the_joint_normal(direction):
    model, posterior = linear_gaussian.exact_parts(2)
    whole = linear_gaussian.joint(model)
    top, bottom, visible = whole.blocks
    hidden_units = slice(top.start, bottom.stop)
    if direction == "down":
        conditional, given = model.prior, None
        mean, cov = whole.mean[hidden_units], whole.cov[hidden_units, hidden_units]
    else:
        x = linear_gaussian.data(1)[0]
        conditional, given = posterior, jnp.asarray(x)
        matrix, offset, cov = linear_gaussian.conditional(whole, hidden_units, visible)
        mean = matrix @ x + offset
    (h1, h2), log_prob = samples(conditional, given)
    assert h1.shape == (DRAWS, 2)
    assert h2.shape == (DRAWS, 1)
    residual = np.concatenate([f64(h2), f64(h1)], axis=1) - mean
    np.testing.assert_allclose(log_prob, linear_gaussian.log_normal(residual, cov), atol=2e-5)
    white = np.linalg.solve(np.linalg.cholesky(cov), residual.T)
    for unit in white:
        assert stats.kstest(unit, stats.norm.cdf).pvalue > LEVEL / 3
    assert np.abs(np.corrcoef(white) - np.eye(3)).max() < 4.9 / np.sqrt(DRAWS)


def test_layered_values_are_the_same_through_every_door():
    model, posterior = linear_gaussian.exact_parts(2)
    x, key = jnp.asarray(linear_gaussian.data(1)[0]), jax.random.key(6)
    for conditional, given in ((model.prior, None), (posterior, x)):
        z, log_prob = conditional.sample_and_log_prob(given, key=key)
        assert [layer.shape for layer in z] == [(2,), (1,)]
        for one, other in zip(z, conditional.sample(given, key=key), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(conditional.log_prob(z, given), log_prob, rtol=1e-6)
        assert conditional.support == "real"


def test_means_of_layers_are_the_chain_of_means():
    model, posterior = linear_gaussian.exact_parts(2)
    h2 = np.zeros(1)
    below = linear_gaussian.read(model.prior.conditionals[1])
    for layer, truth in zip(
        model.prior.mean(None), (below.matrix @ h2 + below.offset, h2), strict=True
    ):
        np.testing.assert_allclose(layer, truth, rtol=1e-6)
    x = linear_gaussian.data(1)[0]
    q1, q2 = (linear_gaussian.read(q) for q in posterior.conditionals)
    mean = q1.matrix @ x + q1.offset
    h1, h2 = posterior.mean(jnp.asarray(x))
    np.testing.assert_allclose(h1, mean, rtol=1e-5)
    np.testing.assert_allclose(h2, q2.matrix @ mean + q2.offset, rtol=1e-5)


def test_the_likelihood_of_layers_is_that_of_the_bottom_layer():
    model: Any = linear_gaussian.two_layer_model()
    h1, h2 = jnp.asarray([0.4, -0.3]), jnp.asarray([2.0])
    alone, x = model.likelihood.conditional, jnp.asarray(linear_gaussian.data(1)[0])
    key = jax.random.key(1)
    assert model.likelihood.log_prob(x, (h1, h2)) == alone.log_prob(x, h1)
    np.testing.assert_array_equal(model.likelihood.mean((h1, h2)), alone.mean(h1))
    drawn = model.likelihood.sample((h1, h2), key=key)
    np.testing.assert_array_equal(drawn, alone.sample(h1, key=key))
    value, log_prob = model.likelihood.sample_and_log_prob((h1, h2), key=key)
    np.testing.assert_array_equal(value, drawn)
    assert log_prob == alone.log_prob(drawn, h1)
    assert model.likelihood.support == "real"


@every_normal
def test_far_tails_are_finite_and_right(conditional, given):
    truth = truth_of(conditional)
    for value in (-1e4, 1e4):
        log_prob, slope = jax.value_and_grad(conditional.log_prob)(jnp.full(3, value), given)
        np.testing.assert_allclose(log_prob, truth.logpdf(value).sum(), rtol=1e-4)
        np.testing.assert_allclose(slope, -(value - truth.mean()) / truth.var(), rtol=1e-4)


@pytest.mark.parametrize("logit", [-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4])
def test_bernoulli_of_extreme_logits(logit):
    def log_prob(logit, value):
        head = Dense(jnp.zeros((2, 1)), jnp.reshape(logit, (1,)))
        return Bernoulli(MLP((), "tanh"), head).log_prob(jnp.full(1, value), GIVEN)

    for value in (0.0, 1.0):
        got, slope = jax.value_and_grad(log_prob)(jnp.float32(logit), value)
        truth = special.log_expit(logit if value else -logit)
        np.testing.assert_allclose(got, truth, rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(slope, value - special.expit(logit), rtol=1e-6, atol=1e-7)


def test_unit_means_stay_inside_zero_and_one():
    conditional = diagonal_normal(3, unit_mean=True)
    means = jax.vmap(conditional.mean)(
        jnp.asarray(np.random.default_rng(0).normal(size=(50, 2)) * 3, jnp.float32)
    )
    assert np.all((means > 0) & (means < 1))
    assert means.max() - means.min() > 0.2


@pytest.mark.parametrize("unit_mean", [False, True])
def test_draws_are_reparameterised(unit_mean):
    conditional = diagonal_normal(3, unit_mean=unit_mean)
    key = jax.random.key(2)
    epsilon = np.asarray(jax.random.normal(key, (3,)))
    truth = scipy_normal(conditional)
    draw = conditional.sample(GIVEN, key=key)
    np.testing.assert_allclose(draw, truth.mean() + truth.std() * epsilon, rtol=1e-5, atol=1e-6)
    grads = eqx.filter_grad(lambda q: jnp.sum(q.sample(GIVEN, key=key)))(conditional)
    slope = truth.mean() * (1 - truth.mean()) if unit_mean else np.ones(3)
    np.testing.assert_allclose(grads.location.bias, slope, rtol=1e-5)
    np.testing.assert_allclose(grads.log_scale.bias, truth.std() * epsilon, rtol=1e-5)
