"""Deep models of sequences: their parts by their equations, and what padding must not change."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.training.test_saving import run_of

import tightbound as tb
from tightbound import distributions, likelihoods, networks
from tightbound.core.items import Datum, Items
from tightbound.objectives import Params

STEPS, D = 4, 3
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(6, STEPS, D)).astype(np.float32)
VALUES[0, 2:] = np.nan
VALUES[1, 1] = np.nan
VALUES[2, 0, 1] = VALUES[2, 3, 0] = np.nan
BINARY = np.where(np.isnan(VALUES), np.nan, VALUES > 0).astype(np.float32)
SIZES = {"latent": 2, "hidden": 3}


@functools.cache
def parts(posterior="st_lr", likelihood="gaussian"):
    x = VALUES if likelihood == "gaussian" else BINARY
    return Params(*tb.sequence_model(x, likelihood=likelihood, posterior=posterior, key=1, **SIZES))


def items(x):
    known = ~np.isnan(x)
    return Items(jnp.asarray(np.nan_to_num(x)), jnp.arange(len(x)), jnp.asarray(known))


def longer(params, steps):
    """The same parts for sequences of more steps."""
    prior, likelihood = (
        dataclasses.replace(of, steps=steps) for of in (params.model.prior, params.model.likelihood)
    )
    posterior = dataclasses.replace(params.posterior, steps=steps)
    model = dataclasses.replace(params.model, prior=prior, likelihood=likelihood)
    return Params(model, posterior)


def padded(x, steps):
    return np.concatenate([x, np.full((len(x), steps - x.shape[1], D), np.nan, np.float32)], 1)


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
    assert len(grads) > 20
    for one, two in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_steps_behind_the_end_are_standard_normal_under_both_and_others_are_not():
    model, q = parts()
    x = Datum(jnp.zeros((STEPS, D)), jnp.asarray(~np.isnan(VALUES[0])))
    z = jax.random.normal(jax.random.key(3), (STEPS, 2))
    expected = stats.norm.logpdf(z[2:]).sum(axis=1)
    for law, whole in ((model.prior, None), (q, x.x)):
        ended, others = (eqx.filter_jit(law.log_prob_steps)(z, of) for of in (x, whole))
        np.testing.assert_allclose(ended[2:], expected, rtol=1e-6)
        assert np.all(np.abs(others[2:] - expected) > 1e-3)
        np.testing.assert_array_equal(law.mean(x)[2:], 0)
    drawn, log_prob = q.sample_and_log_prob(x, key=jax.random.key(4))
    np.testing.assert_allclose(log_prob, q.log_prob(drawn, x), rtol=1e-5)
    of_prior = model.prior.sample(x, key=jax.random.key(4))
    np.testing.assert_array_equal(drawn[2:], of_prior[2:])


def test_a_path_is_made_whole_by_the_chain_and_cut_to_the_datum_again():
    prior = parts().model.prior
    x = Datum(jnp.zeros((STEPS, D)), jnp.asarray(~np.isnan(VALUES[0])))
    z = prior.sample(x, key=jax.random.key(5))
    whole = prior.whole(z, x, jax.random.key(6))
    np.testing.assert_array_equal(whole[:2], z[:2])
    # Step 3 is the transition's draw given step 2, by the key of its number.
    key = jax.random.fold_in(jax.random.key(6), 2)
    np.testing.assert_allclose(whole[2], prior.transition.sample(whole[1], key=key), rtol=1e-6)
    cut = prior.cut(whole, x, jax.random.key(7))
    np.testing.assert_array_equal(cut[:2], z[:2])
    assert not np.any(cut[2:] == whole[2:])
    for unchanged in (prior.whole, prior.cut):
        np.testing.assert_array_equal(unchanged(z, x.x, jax.random.key(6)), z)


def test_the_chain_is_the_product_of_its_steps():
    prior = parts().model.prior
    z = jax.random.normal(jax.random.key(8), (STEPS, 2))
    each = [prior.initial.log_prob(z[0], None)]
    each += [prior.transition.log_prob(z[t], z[t - 1]) for t in range(1, STEPS)]
    np.testing.assert_allclose(prior.log_prob(z), sum(each), rtol=1e-5)
    np.testing.assert_allclose(prior.log_prob_steps(z), each, rtol=1e-5)
    drawn, log_prob = prior.sample_and_log_prob(None, key=jax.random.key(9))
    np.testing.assert_allclose(log_prob, prior.log_prob(drawn), rtol=1e-5)


def test_the_gated_transition_is_that_of_the_paper():
    law = distributions.GatedNormal.of(2, 5, key=jax.random.key(0))
    law = eqx.tree_at(lambda law: law.affine.weight, law, jnp.asarray([[1.0, 0.5], [-0.25, 2.0]]))
    z = jnp.array([0.5, -1.5])

    def network(joined):
        (layer,) = joined.trunk.layers
        hidden = np.maximum(np.asarray(z) @ np.asarray(layer.weight) + np.asarray(layer.bias), 0)
        return hidden @ np.asarray(joined.head.weight) + np.asarray(joined.head.bias)

    gate, proposal = 1 / (1 + np.exp(-network(law.gate))), network(law.proposal)
    mean = (1 - gate) * (np.asarray(z) @ np.asarray(law.affine.weight)) + gate * proposal
    free = np.maximum(proposal, 0) @ np.asarray(law.variance.weight)
    scale = np.sqrt(np.log1p(np.exp(free)) + 1e-6)
    for found, expected in zip(law.parameters(z), (mean, scale), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    value = jnp.array([0.1, 0.2])
    expected = stats.norm.logpdf(value, mean, scale).sum()
    np.testing.assert_allclose(law.log_prob(value, z), expected, rtol=1e-5)


def test_the_combiner_is_that_of_the_paper():
    _, q = parts()
    x = Datum(jnp.nan_to_num(jnp.asarray(VALUES[2])), jnp.asarray(~np.isnan(VALUES[2])))
    seen = q.view(x).x
    seen = jnp.concatenate([seen, jnp.astype(x.observed, seen.dtype)], axis=1)
    left, right = (network(seen) for network in q.networks)
    assert [network.backwards for network in q.networks] == [False, True]
    before = jax.random.normal(jax.random.key(1), (2,))
    h = (jnp.tanh(q.before(before)) + left[1] + right[1]) / 3
    value = jnp.asarray([0.3, -0.4])
    found = q.log_prob_step(value, before, q.contexts(x)[1])
    np.testing.assert_allclose(found, q.head.log_prob(value, h), rtol=1e-5)
    known = x.observed.at[1].set(False)
    zeros = jnp.where(known, x.x, 0.0)
    assert np.any(q.contexts(Datum(zeros, x.observed)) != q.contexts(Datum(zeros, known)))


def test_an_emission_is_one_law_for_all_steps_and_counts_known_entries_alone():
    likelihood = parts().model.likelihood
    x, z = jnp.asarray(VALUES[3]), jax.random.normal(jax.random.key(1), (STEPS, 2))
    each = [likelihood.step.log_prob_each(*of) for of in zip(x, z, strict=True)]
    np.testing.assert_allclose(likelihood.log_prob_each(x, z), each, rtol=1e-5)
    np.testing.assert_allclose(likelihood.log_prob(x, z), np.sum(each), rtol=1e-5)
    known = jnp.asarray(~np.isnan(VALUES[2]))
    found = likelihood.log_prob_observed(jnp.where(known, x, 0), known, z)
    np.testing.assert_allclose(found, np.sum(np.where(known, each, 0)), rtol=1e-5)
    filled = likelihood.mean_missing(x, known, z)
    np.testing.assert_allclose(filled, jnp.where(known, x, likelihood.mean(z)), rtol=1e-5)
    drawn = likelihood.sample_missing(x, known, z, key=jax.random.key(2))
    assert np.array_equal(drawn == x, known)


@pytest.mark.slow
def test_a_fit_comes_back(tmp_path):
    model, q = parts("st_r", "bernoulli")
    run = tb.fit(model, q, BINARY, objective="iwae(k=2)", batch_size=6, epochs=1)
    assert np.isfinite(run.history[-1].train_bound).all()
    path = tmp_path / "run.safetensors"
    tb.save(path, run)
    assert eqx.tree_equal(tb.load(path).replicas, run.replicas)


def test_replicas_start_differently_and_from_the_identity(tmp_path):
    run = run_of(parts(), 2)
    one, two = (replica.model.prior.transition for replica in run.replicas)
    assert np.any(one.gate.head.weight != two.gate.head.weight)
    for law in (one, two):
        np.testing.assert_array_equal(law.affine.weight, np.eye(2))
    networks_of = [replica.posterior.networks[0].states.weight for replica in run.replicas]
    assert np.any(networks_of[0] != networks_of[1])
    tb.save(tmp_path / "run.safetensors", run)
    assert eqx.tree_equal(tb.load(tmp_path / "run.safetensors").replicas, run.replicas)


@pytest.mark.slow
def test_a_likelihood_of_columns_and_of_counts_will_do():
    counts = np.where(np.isnan(VALUES), np.nan, np.floor(np.abs(3 * VALUES))).astype(np.float32)
    model, q = tb.sequence_model(counts, likelihood="poisson", **SIZES)
    assert isinstance(q.view, networks.Features)
    ev = tb.evaluate(model, q, counts, k=2)
    assert np.isfinite(ev.log_evidence).all()


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (VALUES[:, :, 0], {}, r"sequences of shape \(steps, d\).*\(steps, 1\)"),
        (
            VALUES,
            {"kind": "deep"},
            "kind of sequence model to be one of deep_markov, vrnn, got 'deep'",
        ),
        (VALUES, {"posterior": "normal"}, "posterior of sequences to be one of st_l"),
        (VALUES, {"latent": 0}, "latent"),
        (VALUES, {"likelihood": "columns"}, "one likelihood of numbers for all columns of a step"),
        (BINARY, {"likelihood": "categorical"}, "one likelihood of numbers"),
        (VALUES, {"likelihood": "bernoulli"}, "expected"),
        (np.where(np.arange(D) == 1, np.nan, VALUES), {}, r"column 1 .* of a step has no value"),
    ],
)
def test_what_cannot_be_is_refused_in_words(data, options, words):
    with pytest.raises(tb.UsageError, match=words):
        tb.sequence_model(data, **{"likelihood": "gaussian", **SIZES, **options})


def test_nothing_is_expected_of_levels():
    levels = np.where(np.isnan(VALUES), np.nan, np.floor(np.abs(VALUES))).astype(np.float32)
    rows = levels.reshape(-1, D)
    law = tb.autoencoder(rows[~np.isnan(rows).any(axis=1)], latent=2, hidden=(),
                         likelihood="categorical")[0].likelihood  # fmt: skip
    z, known = jnp.zeros((STEPS, 2)), jnp.zeros((STEPS, D), bool)
    with pytest.raises(tb.UsageError, match="nothing is expected of levels"):
        likelihoods.Stepwise(law, STEPS).mean_missing(jnp.zeros((STEPS, D)), known, z)
