"""Discrete latents against enumeration: a sigmoid belief network of one and of two layers.

False alarms: about 600 numbers are compared at 5.2 standard errors, below 2e-4 for new keys.
"""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import tightbound as tb
from tests import once
from tests.ztest import z_of_mean
from tightbound.core.errors import UsageError
from tightbound.objectives import Params, elbo, iwae, rws, wake_sleep

pytestmark = pytest.mark.stat
REPLICAS, LIMIT = 2**14, 5.2
VISIBLE = 3
stop = jax.lax.stop_gradient


@functools.cache
def parts_of(layers):
    x = np.array(list(itertools.product([0.0, 1.0], repeat=VISIBLE)), np.float32)
    sizes = {"latent": 2} if layers == 1 else {"latent": [2, 1], "layers": 2}
    parts = Params(*tb.autoencoder(x, hidden=(2,), posterior="bernoulli", key=3, **sizes))
    # Away from the start, where the units do not matter yet.
    rng = np.random.default_rng(layers)
    arrays, rest = eqx.partition(parts, eqx.is_inexact_array)
    moved = jax.tree.map(
        lambda a: a + jnp.asarray(0.7 * rng.standard_normal(a.shape), jnp.float32), arrays
    )
    return eqx.combine(moved, rest), jnp.asarray(x)


def values(size):
    return jnp.asarray(list(itertools.product([0.0, 1.0], repeat=size)), jnp.float32)


def states(layers):
    """All values of z on a leading axis."""
    if layers == 1:
        return values(2)
    every = values(3)
    return every[:, :2], every[:, 2:]


def table(parts, x, layers):
    """log p(x, z) and log q(z|x) at all values of z."""
    joint = jax.vmap(lambda z: parts.model.log_joint(x, z))(states(layers))
    return joint, jax.vmap(lambda z: parts.posterior.log_prob(z, x))(states(layers))


def exact_bound(parts, x, layers, k, value):
    """The mean of a bound over all ways to draw k values of z."""
    joint, log_q = table(parts, x, layers)
    total = 0.0
    for draws in itertools.product(range(len(joint)), repeat=k):
        chosen = jnp.array(draws)
        total += jnp.exp(jnp.sum(log_q[chosen])) * value((joint - log_q)[chosen])
    return total


def exact_wake(parts, x, layers, k):
    """The mean of sum_i w_i log q(z_i|x) with constant weights."""
    joint, log_q = table(parts, x, layers)
    total = 0.0
    for draws in itertools.product(range(len(joint)), repeat=k):
        chosen = jnp.array(draws)
        weights = stop(jnp.exp(jnp.sum(log_q[chosen])) * jax.nn.softmax((joint - log_q)[chosen]))
        total += jnp.sum(weights * log_q[chosen])
    return total


def exact_sleep(parts, layers):
    """The mean of log q(z|x) over the model's own x and z."""
    _, data = parts_of(layers)
    tables = [table(parts, x, layers) for x in data]
    return sum(jnp.sum(stop(jnp.exp(joint)) * log_q) for joint, log_q in tables)


def lme(log_w):
    return jax.nn.logsumexp(log_w) - jnp.log(len(log_w))


@functools.cache
def truths(layers):
    parts, data = parts_of(layers)
    x = data[5]

    def of(function):
        grads = eqx.filter_jit(eqx.filter_grad(lambda p: -function(p)))(parts)
        return {n: np.asarray(ravel_pytree(getattr(grads, n))[0], float) for n in Params._fields}

    return {
        "elbo": of(lambda p: exact_bound(p, x, layers, 1, lme)),
        "iwae": of(lambda p: exact_bound(p, x, layers, 2, lme)),
        "wake": of(lambda p: exact_wake(p, x, layers, 2)),
        "sleep": of(lambda p: exact_sleep(p, layers)),
    }


OBJECTIVES = {
    "score": (iwae(2, "score_function"), "iwae", "iwae"),
    "vimco": (iwae(2, "vimco"), "iwae", "iwae"),
    "elbo": (elbo(samples=2, gradient="vimco"), "elbo", "elbo"),
    "wake_sleep": (wake_sleep(), "elbo", "sleep"),
    "wake": (rws(2, "wake"), "iwae", "wake"),
    "sleep": (rws(2, "sleep"), "iwae", "sleep"),
}


@functools.cache
def gradients(layers):
    parts, data = parts_of(layers)
    x = data[5:6]

    def one(key):
        return {
            name: {n: ravel_pytree(getattr(grads, n))[0] for n in Params._fields}
            for name, (objective, _, _) in OBJECTIVES.items()
            for grads in [once.step(objective, parts, x, key[None]).grads]
        }

    keys = jax.random.split(jax.random.key(7), REPLICAS)
    options = {"xla_backend_optimization_level": 0}
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(one), compiler_options=options)(keys))


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_mean_gradients_are_those_of_enumeration(name, layers):
    _, model, posterior = OBJECTIVES[name]
    for part, truth in (("model", model), ("posterior", posterior)):
        expected = truths(layers)[truth][part]
        found = gradients(layers)[name][part]
        never = found.std(axis=0) == 0
        np.testing.assert_allclose(found[0][never], expected[never], rtol=1e-3, atol=1e-5)
        assert np.abs(z_of_mean(found[:, ~never], expected[~never])).max() < LIMIT
        assert np.abs(expected).max() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("layers", [2])
def test_both_phases_are_the_mean_of_wake_and_sleep(layers):
    parts, data = parts_of(layers)
    keys = jax.random.split(jax.random.key(1), len(data))
    wake, sleep, both = (
        once.compiled(rws(3, phi))(parts, jnp.asarray(data), keys).grads
        for phi in ("wake", "sleep", "both")
    )
    mean = jax.tree.map(lambda a, b: 0.5 * (a + b), wake.posterior, sleep.posterior)
    for one, other in zip(jax.tree.leaves(both.posterior), jax.tree.leaves(mean), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(jax.tree.leaves(both.model), jax.tree.leaves(wake.model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_baseline_of_other_data_and_vimco_lower_the_variance():
    parts, data = parts_of(1)

    def variance(gradient):
        def one(key):
            keys = jax.random.split(key, len(data))
            grads = once.step(iwae(4, gradient), parts, data, keys).grads
            return ravel_pytree(grads.posterior)[0]

        keys = jax.random.split(jax.random.key(2), 2000)
        return float(jnp.sum(jnp.var(jax.jit(jax.vmap(one))(keys), axis=0)))

    plain, control, vimco = map(variance, ("score_function", "score_function_cv", "vimco"))
    assert control < 0.8 * plain
    assert vimco < 0.8 * control


@pytest.mark.parametrize("gradient", ["reparameterized", "stl", "dreg", "wake_dreg", "dreg@2"])
def test_estimators_through_draws_are_refused_in_words(gradient):
    with pytest.raises(UsageError, match=r"draws.* Bernoulli are discrete; use 'vimco'"):
        iwae(4, gradient).check(parts_of(1)[0])
