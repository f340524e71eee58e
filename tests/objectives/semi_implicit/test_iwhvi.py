"""IWHVI between SIVI (tau = q(e)) and the ELBO (tau = q(e|x, z)), where h is Gaussian.

False alarms: at 4.9 standard errors below 1e-6 a number; the keys are fixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.objectives.semi_implicit import gaussian
from tests.objectives.semi_implicit.gaussian import DIAGONAL, X, bounds
from tests.oracles.linear_gaussian import affine_normal
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.distributions import StandardNormal
from tightbound.objectives import Params, iwhvi, sivi
from tightbound.objectives.semi_implicit.mixtures import draw


def reverse(q):
    """The exact q(e|x, z) of a diagonal mixing, given x and z behind one another."""
    mixing = np.diag(np.asarray(q.layer.location.weight[:2], np.float64))
    scale = np.exp(np.asarray(q.layer.log_scale.bias, np.float64))
    variance = 1 / (1 + mixing**2 / scale**2)
    of_z = np.diag(variance * mixing / scale**2)
    of_x = np.asarray(q.layer.location.weight[2:], np.float64).T
    matrix = np.concatenate([-of_z @ of_x, of_z], axis=1)
    return affine_normal(matrix, -of_z @ np.asarray(q.layer.location.bias), np.sqrt(variance))


@pytest.mark.stat
@pytest.mark.parametrize("k", [0, 4])
def test_with_the_noises_own_density_it_is_sivi_in_law(k):
    parts = gaussian.parts()
    one = bounds(iwhvi(k), parts, 20_000, seed=1)
    other = bounds(sivi(k), parts, 20_000, seed=2)
    for power in (1, 2):
        a, b = one**power, other**power
        error = np.sqrt((a.var() + b.var()) / len(a))
        assert abs(a.mean() - b.mean()) < LIMIT * error


@pytest.mark.slow
def test_the_network_starts_there():
    parts = gaussian.parts()
    keys = jax.random.split(jax.random.key(0), 3)
    x = jnp.tile(X, (3, 1))
    objective = iwhvi(4, samples=2)
    memory = objective.init(parts, 3, jax.random.key(1))
    # tau = q(e), in other words: the same bound and the same gradient with it put in by hand.
    noise = StandardNormal(parts.posterior.noise)
    np.testing.assert_allclose(
        eqx.filter_jit(objective.bound)(parts, memory, Items.of(x), keys),
        eqx.filter_jit(objective.bound_with)(parts, noise, x, keys),
        rtol=1e-5,
    )
    step, after = eqx.filter_jit(objective.step)(parts, memory, Items.of(x), keys)
    alone = eqx.filter_jit(
        eqx.filter_grad(lambda parts: -jnp.mean(objective.bound_with(parts, noise, x, keys)))
    )(parts)
    for one, other in zip(jax.tree.leaves(step.grads), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert np.any(after.tau.location.bias != memory.tau.location.bias)


@pytest.mark.parametrize("k", [0, 1, 6])
def test_with_the_reverse_conditional_each_draw_has_the_exact_density(k):
    parts = gaussian.parts(DIAGONAL)
    tau = reverse(parts.posterior)

    @jax.jit
    def both(key):
        found = iwhvi(k, samples=3).bound_with(parts, tau, X[None], key[None])[0]
        z = draw(parts.posterior, X, key, 3, 0).z
        log_h = jax.vmap(lambda z: gaussian.log_h(parts.posterior, z, X))(z)
        log_joint = jax.vmap(lambda z: parts.model.log_joint(X, z))(z)
        return found, jnp.mean(log_joint - log_h)

    np.testing.assert_allclose(*both(jax.random.key(3)), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.stat
def test_a_network_that_learns_closes_most_of_the_gap():
    parts = gaussian.parts(DIAGONAL)
    target = tb.Target(lambda z: parts.model.log_joint(X, z), 2)
    layer = affine_normal(DIAGONAL, np.array([0.1, -0.2]), np.array([0.4, 0.5]))
    q = tb.distributions.SemiImplicit(layer, 2)
    objective = iwhvi(1, samples=8, hidden=(16,), learning_rate=1e-2)
    # The posterior stays as it is, so that the truth does.
    run = tb.fit(
        target, q, objective=objective, steps=500, batch_size=4, optimizer=optax.set_to_zero()
    )
    both = Params(target, run.posterior)
    keys = jax.random.split(jax.random.key(5), 2000)
    x = jnp.zeros((2000, 0))
    bound = eqx.filter_jit(objective.bound)
    states = run.objective_states[0], objective.init(both, 1, jax.random.key(0))
    learned, start = (
        np.asarray(bound(both, state, Items.of(x), keys), np.float64) for state in states
    )
    mean, cov, _ = gaussian.moments(run.posterior)
    log_z = gaussian.expected_log_joint(
        Params(parts.model, gaussian.SemiImplicit(_ignoring(layer), 2)), X
    )
    truth = float(log_z + gaussian.entropy(cov))
    assert z_of_mean(learned, truth) < LIMIT
    assert truth - learned.mean() < 0.1 * (truth - start.mean())


def _ignoring(layer):
    """The same layer of noise and x, of which it takes no notice."""
    matrix = np.concatenate([np.asarray(layer.location.weight).T, np.zeros((2, 3))], axis=1)
    return affine_normal(matrix, np.asarray(layer.location.bias), np.array([0.4, 0.5]))


def test_what_is_refused():
    for options in ({"k": -1}, {"k": 1, "hidden": (0,)}, {"k": 1, "learning_rate": 0.0}):
        with pytest.raises(UsageError, match="expected"):
            iwhvi(**options)
