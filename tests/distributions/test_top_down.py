"""Top-down inference: its density, and that it is a posterior like any other.

False alarms: estimates are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.streams import item_keys
from tightbound.networks import MLP, Whole
from tightbound.objectives import Params

KEY = jax.random.key(0)


def of_data(layers=3, **options):
    x = linear_gaussian.data(40)
    usual = {"latent": (4, 3, 2)[3 - layers :], "hidden": (6,), "inference": "top_down"}
    return x, *tb.autoencoder(x, layers=layers, likelihood="gaussian", **usual | options)


def test_its_density_is_that_of_its_draws_layer_by_layer():
    x, _, q = of_data()
    x = jnp.asarray(x)
    z, log_q = q.sample_and_log_prob(x[0], key=KEY)
    assert [layer.shape for layer in z] == [(4,), (3,), (2,)]
    np.testing.assert_allclose(q.log_prob(z, x[0]), log_q, rtol=1e-5)
    np.testing.assert_array_equal(q.sample(x[0], key=KEY)[2], z[2])
    features = []
    for network in q.up:
        features.append(network(features[-1] if features else x[0]))
    above = ([z[1]], [z[2]], [])
    expected = sum(
        conditional.log_prob(layer, jnp.concatenate([h, *over]))
        for conditional, layer, h, over in zip(q.conditionals, z, features, above, strict=True)
    )
    np.testing.assert_allclose(log_q, expected, rtol=1e-5)
    means = q.means_given(z, x[0])
    np.testing.assert_allclose(
        means[0], q.conditionals[0].mean(jnp.concatenate([features[0], z[1]]))
    )
    np.testing.assert_allclose(q.mean(x[0])[2], means[2])


@pytest.mark.slow
@pytest.mark.stat
def test_evidence_by_it_is_exact():
    exact = linear_gaussian.exact_parts(2)
    x = linear_gaussian.data(8)
    sizes = [layer.size for layer in exact.posterior.sample(jnp.asarray(x[0]), key=KEY)]
    _, q = tb.autoencoder(
        x, latent=sizes, hidden=(4,), layers=2, likelihood="gaussian", inference="top_down"
    )
    found = tb.evaluate(exact.model, q, x, k=40_000)
    again = tb.evaluate(exact.model, exact.posterior, x, k=10)
    z = (found.log_evidence - again.log_evidence) / np.maximum(found.stderr, 1e-3)
    assert np.abs(z).max() < LIMIT


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_gradients_without_score_have_the_mean_of_the_total_derivative(gradient):
    x, model, q = of_data(2)
    x, n = jnp.asarray(x[:1]), 20_000
    k = 3 if gradient == "dreg" else 1
    of = {name: tb.objectives.iwae(k=k, gradient=name) for name in ("reparameterized", gradient)}

    def posterior_gradient(objective, key):
        step = once.step(objective, Params(model, q), x, item_keys(key, jnp.arange(1)))
        leaves = jax.tree.leaves(eqx.filter(step.grads.posterior, eqx.is_inexact_array))
        return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])

    keys = jax.random.split(KEY, n)
    found = [
        np.asarray(jax.jit(jax.vmap(lambda key, o=o: posterior_gradient(o, key)))(keys), np.float64)
        for o in of.values()
    ]
    spread = sum(each.var(axis=0) for each in found) / n
    z = (found[0].mean(axis=0) - found[1].mean(axis=0)) / np.sqrt(np.maximum(spread, 1e-16))
    assert np.abs(z).max() < LIMIT


@pytest.mark.slow
def test_a_fit_is_evaluated_and_comes_back(tmp_path):
    x, model, q = of_data(latent=(3, 2, 1))
    x = np.where(np.arange(x.shape[1]) == 0, np.where(x > 1, np.nan, x), x)
    run = tb.fit(model, q, x, objective="iwae(k=4)", epochs=60, seeds=2, optimizer="adam")
    assert np.mean(run.history[-1].train_bound) > np.mean(run.history[0].train_bound) + 0.5
    tb.save(tmp_path / "run.safetensors", run)
    back = tb.load(tmp_path / "run.safetensors")
    one, two = (tb.evaluate(of.model, of.posterior, x[:9], k=20) for of in (run, back))
    assert np.array_equal(one.log_evidence, two.log_evidence)
    units = tb.diagnostics.active_units(run.model, run.posterior, x, draws=20)
    assert [len(layer.variance) for layer in units] == [3, 2, 1]
    top = jax.vmap(lambda x: run.posterior.mean(x)[2])(jnp.nan_to_num(jnp.asarray(x)))
    np.testing.assert_allclose(units[2].variance, np.var(top, axis=0, ddof=1), rtol=0.2)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(UsageError, match="did you mean top_down"):
        of_data(inference="topdown")
    x = linear_gaussian.data(9)
    with pytest.raises(UsageError, match=r"without tb\.networks\.Whole"):
        of_data(encoder=Whole(MLP.glorot(x.shape[1], (8,), key=KEY)))
    with pytest.raises(UsageError, match="needs hidden widths"):
        of_data(hidden=())
