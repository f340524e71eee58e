"""Neural posterior estimation: what it reports and follows, where the posterior is known.

False alarms: at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests import once
from tests.objectives.implicit.toys import SPREAD, affine, model
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.streams import item_keys
from tightbound.objectives import Params, npe

N = 4000
PRECISION = 1 + 1 / SPREAD**2


def exact():
    """The posterior of z ~ N(0, I) given x ~ N(z, SPREAD^2)."""
    slope = jnp.eye(2) / SPREAD**2 / PRECISION
    return affine(slope, jnp.zeros(2), jnp.full(2, -0.5 * jnp.log(PRECISION)))


def keys(n=N):
    return item_keys(jax.random.key(3), jnp.arange(n))


@pytest.mark.stat
def test_it_reports_the_negative_entropy_of_the_exact_posterior():
    found = np.asarray(once.bound(npe(), Params(model(), exact()), jnp.zeros((N, 2)), keys()))
    entropy = np.log(2 * np.pi * np.e / PRECISION)
    assert abs(z_of_mean(found, -entropy)) < LIMIT


@pytest.mark.stat
def test_its_gradient_vanishes_at_the_exact_posterior_alone():
    def gradients(q):
        def one(key):
            return once.step(npe(), Params(model(), q), jnp.zeros((1, 2)), key[None]).grads

        return jax.jit(jax.vmap(one))(keys())

    for leaf in jax.tree.leaves(gradients(exact()).posterior):
        for column in np.asarray(leaf).reshape(N, -1).T:
            assert not column.any() or abs(z_of_mean(column)) < LIMIT
    wide = eqx.tree_at(lambda q: q.log_scale.bias, exact(), jnp.zeros(2))
    found = np.asarray(gradients(wide).posterior.log_scale.bias)
    # d/ds of s + (z - m)^2 exp(-2 s) / 2 is 1 - variance at s = 0.
    assert abs(z_of_mean(found[:, 0], 1 - 1 / PRECISION)) < LIMIT
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients(wide).model))


def test_pairs_that_are_held_back_are_judged_by_and_not_learned():
    z = np.arange(40, dtype=np.float32)[:, None]
    stored = tb.models.simulated(z, z, held=10)
    draws = {
        name: {float(getattr(stored, name)(key)[1][0]) for key in keys(400)}
        for name in ("sample", "held_out")
    }
    assert draws["sample"] == set(range(30))
    assert draws["held_out"] == set(range(30, 40))
    whole = tb.models.simulated(z, z)
    assert {float(whole.held_out(key)[1][0]) for key in keys(400)} == set(range(40))
    with pytest.raises(UsageError, match="expected held from 0 to 39 for 40 pairs, got 40"):
        tb.models.simulated(z, z, held=40)


def test_posteriors_on_another_support_are_refused():
    draws = tb.models.simulator(lambda key: jax.random.normal(key, (2,)), lambda z, key: z)
    q = tb.autoencoder(np.ones((4, 2)), latent=2, hidden=(2,), posterior="gamma")[1]
    with pytest.raises(UsageError, match="expected both on the same support, got positive"):
        npe().check(Params(draws, q))
    with pytest.raises(UsageError, match=r"npe\(\) needs the density of the posterior"):
        npe().check(Params(draws, tb.posterior(draws, "implicit")))


@pytest.mark.slow
def test_a_flow_keeps_both_moons_from_stored_pairs():
    """By symmetry each has one half of the posterior; the exact entropy is known but for edges."""
    problem = tb.models.problems.two_moons()
    x, z = map(np.asarray, jax.jit(jax.vmap(problem.model.sample))(keys(3000)))
    stored = tb.models.simulated(z, x, held=300)
    run = tb.fit(
        stored,
        tb.posterior(stored, "flow", hidden=(32,)),
        x[:2700],
        objective="npe()",
        validation=x[2700:],
        epochs=40,
        early_stopping=40,
        optimizer=optax.adam(optax.cosine_decay_schedule(4e-3, 40 * 27)),
        progress=False,
    )
    entropy = np.log(2 * np.pi) + 0.5 * np.log(2 * np.pi * np.e * 1e-4) + np.log(0.1)
    best = max(record.validation_bound[0] for record in run.history if record.validation_bound)
    assert -entropy - 1.5 < best < -entropy + 0.3
    seen = np.array([[-0.25, 0.6], [0.0, -0.6], [-0.2, 0.4]], np.float32)
    share = np.mean(tb.draws(stored, run.posterior, seen, n=1000).sum(axis=2) > 0, axis=1)
    assert np.all((share > 0.3) & (share < 0.7)), share
