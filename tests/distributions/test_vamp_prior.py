"""A prior made of the posterior: its density by SciPy, its gradient by differences, its fits.

False alarms: means are compared at 4.9 of their standard errors (below 1e-6 each).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from tests import once
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.distributions import VampPrior
from tightbound.models.sharing import encoder_of, folded, tied
from tightbound.objectives import Params

RNG = np.random.default_rng(0)
X = (3.0 + 5.0 * RNG.normal(size=(40, 3))).astype(np.float32)


def parts(prior: Any = "vamp(components=4)", x: Any = X, **options):
    options = {"latent": 2, "hidden": (5,), "likelihood": "gaussian", **options}
    return tb.autoencoder(x, prior=prior, **options)


def test_it_is_the_mean_of_the_posteriors_at_its_inputs():
    model, posterior = parts()
    inputs = np.asarray(model.prior.pseudo_inputs)
    # Rows of the data, as they are.
    assert all(np.abs(X - row).max(axis=1).min() < 1e-5 for row in inputs)
    z = RNG.normal(size=(20, 2))
    location, scale = jax.vmap(posterior.parameters)(jnp.asarray(inputs))
    each = scipy.stats.norm.logpdf(z[:, None], location, scale).sum(axis=2)
    found = jax.vmap(model.prior.log_prob)(jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(
        found, scipy.special.logsumexp(each, axis=1) - np.log(4), rtol=1e-5, atol=1e-5
    )


@pytest.mark.stat
def test_its_draws_have_its_moments():
    model, posterior = parts()
    n = 40_000
    keys = jax.random.split(jax.random.key(0), n)
    draws = np.asarray(jax.vmap(lambda key: model.prior.sample(key=key))(keys))
    location, scale = jax.vmap(posterior.parameters)(model.prior.pseudo_inputs)
    np.testing.assert_allclose(model.prior.mean(), np.mean(location, axis=0), rtol=1e-5)
    second = np.mean(location**2 + scale**2, axis=0)
    for of, expected in ((draws, np.mean(location, axis=0)), (draws**2, second)):
        z = (of.mean(axis=0) - expected) / (of.std(axis=0) / np.sqrt(n))
        assert np.abs(z).max() < LIMIT


@pytest.mark.parametrize("layered", [False, True])
def test_gradients_of_shared_numbers_are_those_of_the_bound(layered):
    options = {"layers": 2, "latent": (3, 2), "inference": "top_down"} if layered else {}
    model, posterior = parts(hidden=(4, 3), **options) if layered else parts()
    items = Items.of(jnp.asarray(X[:6]))
    keys = jax.random.split(jax.random.key(1), 6)
    objective = tb.objectives.iwae(k=3)
    grads = once.compiled(objective)(Params(model, posterior), items.x, keys).grads
    of_model, of_posterior = folded(*grads)
    arrays, static = eqx.partition(posterior, eqx.is_inexact_array)

    def loss(arrays):
        moved = eqx.combine(arrays, static)
        return -jnp.mean(objective.bound(Params(tied(model, moved), moved), None, items, keys))

    for found, expected in zip(
        jax.tree.leaves(of_posterior), jax.tree.leaves(jax.jit(jax.grad(loss))(arrays)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)
    prior = of_model.prior.conditionals[0] if layered else of_model.prior
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(prior.encoder))
    assert np.any(prior.inputs)


def same(model, posterior):
    encoder = encoder_of(posterior)
    (prior,) = [
        node
        for node in jax.tree.leaves(model, is_leaf=lambda n: isinstance(n, VampPrior))
        if isinstance(node, VampPrior)
    ]
    both = (jax.tree.leaves(eqx.filter(part, eqx.is_array)) for part in (prior.encoder, encoder))
    return all(np.array_equal(a, b) for a, b in zip(*both, strict=True))


@pytest.mark.slow
def test_a_fit_keeps_them_equal_and_gains(tmp_path):
    x = (RNG.choice([-4.0, 4.0], size=(400, 1)) + 0.3 * RNG.normal(size=(400, 2))).astype(
        np.float32
    )
    of = {"latent": 1, "hidden": (16,), "likelihood": "gaussian_scalar"}
    fitting = {
        "objective": "iwae(k=8)", "epochs": 40, "batch_size": 50, "validation": x[:50],
        "optimizer": "adam(learning_rate=0.01)", "early_stopping": 80, "average": 0.99,
    }  # fmt: skip
    plain = tb.fit(*parts("normal", x, **of), x, **fitting)

    def build(key):
        return parts("vamp(components=4)", x, **of, key=key)

    run = tb.fit(*build(0), x, seeds=2, build=build, **fitting)
    assert all(same(*replica) for replica in run.replicas)
    first, second = (np.asarray(replica.model.prior.inputs) for replica in run.replicas)
    assert not np.allclose(first, second)
    assert not np.allclose(first, build(0)[0].prior.inputs)
    on = [tb.evaluate(of.model, of.posterior, x, k=200).mean for of in (plain, run)]
    assert on[1] > on[0] + 0.1
    tb.save(tmp_path / "m.safetensors", run)
    back = tb.load(tmp_path / "m.safetensors")
    assert same(back.model, back.posterior)
    few = x[:4]
    by = tb.evidence.annealed(back.model, few, temperatures=100, chains=32, key=3)
    draws = tb.evaluate(back.model, back.posterior, few, k=5000)
    z = (by.log_evidence - draws.log_evidence) / np.hypot(np.maximum(by.stderr, 0.02), draws.stderr)
    assert np.abs(z).max() < LIMIT


def test_what_it_does_not_go_with_is_refused():
    model, posterior = parts()
    other = parts(key=1)[1]
    with pytest.raises(UsageError, match="this is another"):
        tb.fit(model, other, X, objective="elbo", epochs=1, batch_size=20)
    with_prior = tb.objectives.map_estimate(tb.objectives.elbo(), n=40)
    for objective in ("rws(k=4)", "combined(k=4)", "iwae(k=4, gradient='wake')", with_prior):
        with pytest.raises(UsageError, match="no one bound that both climb"):
            tb.fit(model, posterior, X, objective=objective, epochs=1, batch_size=20)
    full, bayesian = tb.objectives.full_vb(tb.objectives.elbo(), n=40), tb.models.bayesian(model)
    with pytest.raises(UsageError, match="no part in full_vb"):
        tb.fit(bayesian, posterior, X, objective=full, epochs=1, batch_size=20)
    for options, words in (
        ({"layers": 2, "latent": (3, 2), "hidden": (4, 3)}, "expected inference='top_down'"),
        ({"prior": "vamp(components=41)"}, "expected components <= 40, got 41"),
        ({"condition": 1}, "and no condition"),
        ({"posterior": "implicit"}, "a posterior with a density"),
        ({"likelihood": "gamma", "x": np.abs(X)}, "columns of real numbers alone"),
    ):
        with pytest.raises(UsageError, match=words):
            parts(**options)


def test_means_stand_for_holes():
    x = X.copy()
    x[:, 1] = np.where(np.arange(40) < 3, x[:, 1], np.nan)
    model, _ = parts("vamp(components=40)", x)
    column = np.asarray(model.prior.pseudo_inputs)[3:, 1]
    np.testing.assert_allclose(column, np.nanmean(x[:, 1]), rtol=1e-5)
