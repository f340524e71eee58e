"""Free bits: the ELBO's gradient above the floor, that of the likelihood alone below it.

Nothing here is random but the keys: both sides of every comparison have the same draws.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.objectives import Params

X = jnp.asarray(np.random.default_rng(0).normal(size=(12, 3)), jnp.float32)
KEYS = jax.random.split(jax.random.key(0), 12)
LAYERS = {"layers": 2, "latent": (3, 2), "hidden": (5, 4)}


def parts(**options):
    options = {"latent": 2, "hidden": (5,), "likelihood": "gaussian", **options}
    return Params(*tb.autoencoder(np.asarray(X), initial=0.5, **options))


def gradients(objective, params):
    step = once.compiled(objective)(params, X, KEYS)
    return jax.tree.leaves(step.grads), step.bound


@pytest.mark.parametrize(
    "options", [{}, LAYERS, {**LAYERS, "inference": "top_down"}], ids=["one", "up", "down"]
)
def test_groups_above_the_floor_follow_the_elbo(options):
    params = parts(**options)
    found, bound = gradients(tb.objectives.free_bits(nats=1e-6, samples=200), params)
    expected, elbo = gradients(tb.objectives.elbo(samples=200), params)
    np.testing.assert_allclose(bound, elbo, rtol=1e-4, atol=1e-4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_groups_below_it_follow_the_likelihood_alone():
    params = parts(**LAYERS)
    found, bound = gradients(tb.objectives.free_bits(nats=1e6, samples=3), params)
    # At beta = 0 the annealed bound is the likelihood.
    expected, elbo = gradients(tb.objectives.annealed(epochs=4, samples=3, start=0.0), params)
    np.testing.assert_allclose(bound, elbo, rtol=1e-5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_values_may_be_missing():
    params = parts()
    x = np.array(X)
    x[0, 1] = x[3] = np.nan
    items = tb.source(params.model, x).items()
    objective = tb.objectives.free_bits(nats=0.1)
    step, _ = eqx.filter_jit(objective.step)(params, None, items, KEYS)
    plain = eqx.filter_jit(tb.objectives.elbo().bound)(params, None, items, KEYS)
    np.testing.assert_allclose(step.bound, plain, rtol=1e-4, atol=1e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(step.grads))


def test_each_group_has_its_own_floor():
    # q of unit 0 is the prior, that of unit 1 far from it: only the first is below the floor.
    params = parts()
    posterior = params.posterior
    zero = jnp.zeros_like(posterior.location.weight)
    location = posterior.location.__class__(zero, jnp.array([0.0, 3.0]))
    log_scale = posterior.log_scale.__class__(zero, jnp.array([0.0, -1.0]))
    posterior = posterior.__class__(posterior.trunk, location, log_scale)
    params = Params(params.model, posterior)
    floor, elbo, likelihood = (
        once.compiled(objective)(params, X, KEYS).grads.posterior.location.bias
        for objective in (
            tb.objectives.free_bits(nats=0.5, samples=50),
            tb.objectives.elbo(samples=50),
            tb.objectives.annealed(epochs=4, samples=50, start=0.0),
        )
    )
    np.testing.assert_allclose(floor[0], likelihood[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(floor[1], elbo[1], rtol=1e-3, atol=1e-5)
    # The two are told apart: the divergence of unit 1 has the gradient 3.
    np.testing.assert_allclose(elbo[1] - likelihood[1], 3.0, atol=0.2)


def test_what_has_no_groups_is_refused():
    for options in ({"prior": "mixture(components=3)"}, {"prior": "vamp(components=3)"}):
        with pytest.raises(UsageError, match="free_bits needs several layers, or one whose units"):
            tb.objectives.free_bits().check(parts(**options))
    tb.objectives.free_bits().check(parts(**LAYERS, inference="top_down", prior="vamp"))
    for nats in (0.0, -1.0, float("inf")):
        with pytest.raises(UsageError, match="expected nats > 0"):
            tb.objectives.free_bits(nats=nats)
