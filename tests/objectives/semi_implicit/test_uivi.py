"""UIVI where h is Gaussian: the mean score is that of the normal; what its gradient follows.

False alarms: at 4.9 standard errors below 1e-6 a number; the keys are fixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests import once
from tests.objectives.semi_implicit import gaussian
from tests.objectives.semi_implicit.gaussian import X, bounds
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.objectives import sivi, uivi


@pytest.mark.stat
@pytest.mark.parametrize("step_size", [0.2, 1.5])
def test_the_mean_score_is_that_of_the_normal(step_size):
    # At 1.5 many proposals are refused: exact all the same.
    q, objective = gaussian.posterior(), uivi(burn_in=2, transitions=2, leapfrog=3)

    def one(key):
        keys = jax.random.split(key, 3)
        mixing = q.sample_mixing(X, key=keys[0])
        z = q.sample_given(mixing, X, key=keys[1])
        score, accepted = objective.score(q, X, mixing, z, jnp.asarray(step_size), keys[2])
        error = score - jax.grad(lambda z: gaussian.log_h(q, z, X))(z)
        # Given z its mean is zero, hence also with any function of z before it.
        return jnp.concatenate([error, error * z, error * z[::-1]]), accepted

    errors, accepted = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 20_000))
    assert np.abs(z_of_mean(errors)).max() < LIMIT
    assert (np.mean(accepted) < 0.9) == (step_size > 1)


# 23 numbers each at 4.9 standard errors: below 5e-5 for a new set of keys.
@pytest.mark.stat
@pytest.mark.parametrize(
    ("options", "log_step", "truth"),
    [
        ({"burn_in": 15, "transitions": 3}, np.log(0.2), gaussian.elbo),
        # Chains that do not move leave the gradient of a hierarchical q, from its path alone.
        ({"burn_in": 0, "transitions": 1}, -20.0, gaussian.hierarchical),
    ],
)
@pytest.mark.slow
def test_the_mean_gradient_is_that_of_the_elbo_once_the_chain_forgets(options, log_step, truth):
    parts, objective = gaussian.parts(), uivi(samples=2, **options)
    memory = jnp.asarray(log_step, jnp.float32)

    def numbers(grads):
        q, p = grads.posterior.layer, grads.model.likelihood
        leaves = [q.location.weight, q.location.bias, q.log_scale.bias]
        leaves += [p.location.weight, p.log_scale.bias]
        return jnp.concatenate([leaf.ravel() for leaf in leaves])

    def one(key):
        return numbers(objective.step(parts, memory, Items.of(X[None]), key[None])[0].grads)

    gradients = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 8000))
    of_truth = numbers(eqx.filter_grad(lambda parts: -truth(parts, X))(parts))
    assert np.abs(z_of_mean(gradients, of_truth)).max() < LIMIT


@pytest.mark.stat
@pytest.mark.slow
def test_what_it_reports_is_sivis_bound_with_its_k():
    parts = gaussian.parts()
    key = jax.random.split(jax.random.key(0), 1)
    objective = uivi(samples=3, k=7)
    one = jax.jit(lambda key: once.step(objective, parts, X[None], key).bound)(key)
    for same in (sivi(7, 3), objective):
        value = jax.jit(lambda key, o=same: once.bound(o, parts, X[None], key))(key)
        np.testing.assert_allclose(one, value, rtol=1e-5)
    assert z_of_mean(bounds(objective, parts, 2000), gaussian.elbo(parts, X)) < LIMIT


@pytest.mark.slow
def test_the_step_size_comes_to_the_acceptance_and_a_fit_to_its_target():
    def log_density(z):
        return -jnp.abs(z[0]) / 2 - jnp.log(jnp.asarray(4.0))

    target = tb.Target(log_density, 1)
    q = tb.posterior(target, "semi_implicit", noise=2, hidden=(10,))
    objective = uivi(samples=10, transitions=2, burn_in=1, acceptance=0.8, k=10)
    run = tb.fit(
        target, q, objective=objective, steps=1000, batch_size=2, optimizer=optax.adam(1e-2)
    )
    infos = [record.info["acceptance"][0] for record in run.history]
    assert np.mean(infos[-3:]) == pytest.approx(0.8, abs=0.08)
    assert float(run.objective_states[0]) != float(jnp.log(jnp.asarray(0.2)))
    found = tb.evidence.semi_implicit_sandwich(target, run.posterior, k=300, draws=500)
    assert found.mean("lower") > -0.15


def test_what_is_refused():
    for options in ({"transitions": 0}, {"acceptance": 1.0}, {"leapfrog": 0}, {"burn_in": -1}):
        with pytest.raises(UsageError, match="expected"):
            uivi(**options)
