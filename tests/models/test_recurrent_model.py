"""Variational recurrent networks: linear ones against a dense normal, and what may not matter."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.test_sequence_model import VALUES, items, longer, padded
from tests.oracles import recurrent
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound import distributions, likelihoods
from tightbound.core.items import Datum
from tightbound.models.particle_filter import particles
from tightbound.objectives import Params

STEPS = 4
MODEL = recurrent.model(STEPS)
WHOLE = np.asarray(MODEL.sample(jax.random.key(0))[0])
X = np.stack([WHOLE] * 3)
X[1, 1] = X[1, 0, 1] = np.nan
X[2, 3:] = X[2, 0] = X[2, 1, 0] = np.nan
"""One sequence as it is, with holes, and with a late beginning and an early end."""
SIZES = {"latent": 2, "hidden": 3}


def datum(x):
    return Datum(jnp.nan_to_num(jnp.asarray(x)), jnp.asarray(~np.isnan(x)))


@functools.cache
def parts(posterior="st_r", likelihood="gaussian"):
    x = VALUES if likelihood == "gaussian" else np.where(np.isnan(VALUES), np.nan, VALUES > 0)
    sizes = {"likelihood": likelihood, "posterior": posterior, **SIZES}
    return Params(*tb.sequence_model(x.astype(np.float32), kind="vrnn", key=1, **sizes))


@eqx.filter_jit
def log_weights(model, posterior, x, keys):
    def one(key):
        z, log_q = posterior.sample_and_log_prob(x, key=key)
        apart = model.log_prior(x, z) + model.log_likelihood(x, z)
        return model.log_joint(x, z) - log_q, apart - log_q

    return jax.vmap(one)(keys)


@pytest.mark.parametrize("x", list(X))
def test_weights_of_draws_of_the_exact_posterior_are_log_p_of_what_is_known(x):
    keys = jax.random.split(jax.random.key(1), 20)
    found, apart = log_weights(MODEL, recurrent.Exact.of(x), datum(x), keys)
    np.testing.assert_allclose(found, recurrent.log_p(x), atol=2e-3)
    np.testing.assert_allclose(apart, found, atol=1e-4)


@functools.partial(eqx.filter_jit)
def filtered(model, posterior, x, keys, k, share):
    run = lambda key: particles(model, posterior, x, key, k=k, share=share).log_evidence  # noqa: E731
    return jax.vmap(run)(keys)


# 6 means of 20,000 filters with 4 particles: false alarms 5.8e-6.
@pytest.mark.stat
@pytest.mark.parametrize("way", ["prior", pytest.param("st_r", marks=pytest.mark.slow)])
def test_a_particle_filter_is_unbiased_for_p_of_x(way):
    q = MODEL.prior
    if way != "prior":
        q = distributions.RecurrentPosterior.of(way, STEPS, 4, 2, 3, None, jax.random.key(2))
    keys = jax.random.split(jax.random.key(5), 20_000)
    for x in X:
        found = np.asarray(filtered(MODEL, q, datum(x), keys, 4, 0.9), np.float64)
        assert abs(z_of_mean(np.exp(found - recurrent.log_p(x)), 1.0)) < LIMIT


# 4 differences of means over 4,000 replicas: false alarms 3.8e-6.
@pytest.mark.stat
def test_the_importance_weighted_bound_grows_to_log_p():
    x, keys = datum(X[1]), jax.random.split(jax.random.key(6), 4000)
    bounds = [np.asarray(filtered(MODEL, MODEL.prior, x, keys, k, 0.0)) for k in (1, 4, 32)]
    means = np.array([bound.mean(dtype=np.float64) for bound in bounds])
    truth = recurrent.log_p(X[1])
    assert np.all(np.diff(means) > 0)
    for bound in bounds[:2]:
        assert z_of_mean(bound, truth) < -LIMIT
    assert z_of_mean(bounds[2], truth) < LIMIT
    assert truth - means[2] < 0.2 * (truth - means[0])


# Means and products of 20,000 draws: 2 * (16 + 136) numbers, false alarms 3e-4.
@pytest.mark.stat
def test_draws_have_the_moments_of_the_joint_normal_for_what_the_memory_is_told():
    told = ~np.isnan(X[1])
    keys = jax.random.split(jax.random.key(7), 20_000)
    some = jax.jit(jax.vmap(lambda key: MODEL.sample_observed(key, jnp.asarray(told))))(keys)
    for (x, z), seen in ((jax.jit(jax.vmap(MODEL.sample))(keys), ~np.isnan(WHOLE)), (some, told)):
        drawn = np.concatenate([z, x], axis=2).reshape(len(keys), -1).astype(np.float64)
        mean, cov = recurrent.joint(seen)
        assert np.abs(z_of_mean(drawn, mean)).max() < LIMIT
        away = drawn - mean
        rows, columns = np.tril_indices(len(mean))
        products = away[:, rows] * away[:, columns]
        assert np.abs(z_of_mean(products, cov[rows, columns])).max() < LIMIT


@pytest.mark.slow
# Two means over 40 data, each biased to its own side: false alarms below 1e-6.
@pytest.mark.stat
def test_both_sides_of_data_that_the_model_draws_with_holes_hold_log_p():
    observed = np.repeat(~np.isnan(X[1:2]), 40, axis=0)
    found = tb.sandwich(MODEL, n=40, observed=observed, temperatures=100, chains=16)
    truth = np.array([recurrent.log_p(x) for x in found.x])
    assert z_of_mean(found.lower.log_evidence - truth) < LIMIT
    assert z_of_mean(found.upper.log_evidence - truth) > -LIMIT
    assert found.gap < 0.2


@pytest.mark.slow
# By exact draws of z, 8 means and 36 products: false alarms 4.2e-5.
@pytest.mark.stat
def test_forecasts_go_on_by_their_own_draws():
    horizon, x = 2, np.concatenate([X[2], np.full((1, 2), np.nan, np.float32)])
    q = recurrent.Exact.of(x)
    found = tb.tasks.forecast(MODEL, q, X[2:], horizon=horizon, draws=4000, k=4000)
    told = ~np.isnan(x)
    told[3:] = True
    at = recurrent.places(5)[1][6:]
    mean, cov = recurrent.given(x, told)
    mean, cov = mean[at], cov[np.ix_(at, at)]
    assert found.ends == [3]
    np.testing.assert_allclose(found.log_evidence, recurrent.log_p(X[2]), atol=2e-3)
    drawn = found.draws.reshape(4000, 4).astype(np.float64)
    assert np.abs(z_of_mean(drawn, mean)).max() < LIMIT
    away = drawn - mean
    assert np.abs(z_of_mean(away[:, :, None] * away[:, None, :], cov)).max() < LIMIT
    bars = LIMIT * np.sqrt(np.diagonal(cov) / 4000)
    assert np.all(np.abs(found.mean.reshape(4) - mean) < bars)


def test_a_step_sees_nothing_of_those_behind_it_unless_the_posterior_looks_ahead():
    other = VALUES[3].copy()
    other[2:] += 1
    z = jax.random.normal(jax.random.key(3), (STEPS, 2))
    for law, first in (
        (parts().model.prior, 3), (parts("st_l").posterior, 2), (parts("st_r").posterior, 0)
    ):  # fmt: skip
        one, two = (
            eqx.filter_jit(law.log_prob_steps)(z, jnp.asarray(x)) for x in (VALUES[3], other)
        )
        np.testing.assert_array_equal(one[:first], two[:first])
        assert np.all(one[first:] != two[first:])
    before, after = (parts().model.given(jnp.asarray(x), z) for x in (VALUES[3], other))
    np.testing.assert_array_equal(before[:3], after[:3])
    assert np.all(before[3, 2:] != after[3, 2:])


def test_further_padding_changes_nothing():
    key = jax.random.key(8)

    def found(steps):
        params, x = longer(parts(), steps), padded(VALUES[:2], steps)
        return [filtered(*params, datum(one), key[None], 3, 0.9) for one in x]

    np.testing.assert_array_equal(found(STEPS), found(STEPS + 3))


@pytest.mark.slow
def test_further_padding_changes_neither_the_bound_nor_its_gradient():
    objective = tb.objectives.iwae(3, gradient="dreg")
    keys = jax.random.split(jax.random.key(2), len(VALUES))

    def found(steps):
        params, x = longer(parts(), steps), items(padded(VALUES, steps))
        step, _ = eqx.filter_jit(objective.step)(params, None, x, keys)
        return step.bound, jax.tree.leaves(step.grads)

    (bound, grads), (other, other_grads) = found(STEPS), found(STEPS + 3)
    np.testing.assert_allclose(bound, other, rtol=1e-5)
    for one, two in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_without_resampling_the_filtering_bound_is_the_importance_weighted_one():
    keys = jax.random.split(jax.random.key(2), len(VALUES))
    objectives = tb.objectives.fivo(3, "never"), tb.objectives.iwae(3)
    both = eqx.filter_jit(lambda x: [of.bound(parts(), None, x, keys) for of in objectives])
    np.testing.assert_allclose(*both(items(VALUES)), rtol=1e-5)


@pytest.mark.slow
def test_a_fit_comes_back_and_is_filled_and_smoothed(tmp_path):
    x = np.where(np.isnan(VALUES), np.nan, VALUES > 0).astype(np.float32)
    model, q = parts("st_l", "bernoulli")
    run = tb.fit(model, q, x, objective="fivo(k=3)", batch_size=6, epochs=1)
    assert np.isfinite(run.history[-1].train_bound).all()
    tb.save(tmp_path / "run.safetensors", run)
    loaded = tb.load(tmp_path / "run.safetensors")
    assert isinstance(loaded.model, tb.models.RecurrentModel)
    assert eqx.tree_equal(loaded.replicas, run.replicas)
    filled = tb.impute(run.model, run.posterior, x, draws=40, k=50)
    np.testing.assert_array_equal(filled.x[~np.isnan(x)], x[~np.isnan(x)])
    paths = tb.tasks.smooth(run.model, run.posterior, x, draws=4, k=20)
    assert paths.draws.shape == (4, len(x), STEPS, 2)
    assert np.isfinite(paths.draws).all()
    units = tb.diagnostics.active_units(run.model, run.posterior, x)
    assert units[0].variance.shape == (2,)


def test_what_has_no_memory_is_refused_in_words():
    prior = parts().model.prior
    with pytest.raises(tb.UsageError, match="expected a RecurrentPrior and a Stepwise"):
        tb.models.RecurrentModel(tb.autoencoder(np.eye(4), latent=2, hidden=())[0].prior, prior)
    with pytest.raises(tb.UsageError, match="condition of 2 numbers"):
        tb.models.RecurrentModel(prior, parts().model.likelihood, condition=2)
    with pytest.raises(tb.UsageError, match="states on all real numbers"):
        distributions.RecurrentPrior(STEPS, prior.memory, distributions.FamilyPrior(2, "gamma"))
    with pytest.raises(tb.UsageError, match="of x given z alone is not known"):
        tb.tasks.decode(parts().model, np.zeros((1, 2 * STEPS)))
    assert isinstance(parts().model.likelihood, likelihoods.Stepwise)
