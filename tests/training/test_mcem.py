"""Monte Carlo EM on linear-Gaussian models: Fisher's identity, chains, and the best likelihood."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.laws import runs
from tests.laws.runs import EXACT
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.objectives import Params, elbo, map_estimate, mcem, schedule
from tightbound.objectives.direct.mcem import _at

N = 400


def alone(layers):
    return Params(runs.parts_of(EXACT, layers).model, None)


def log_evidence(model, x):
    """Log p(x) in JAX, from the visible covariance: one layer, constant noise."""
    weight, offset = model.likelihood.location.weight, model.likelihood.location.bias
    noise = jnp.exp(2 * model.likelihood.log_scale.bias)
    cov = weight.T @ weight + jnp.diag(noise)
    away = x - offset
    distance = jnp.sum(away * jnp.linalg.solve(cov, away))
    return -0.5 * (distance + jnp.linalg.slogdet(2 * jnp.pi * cov)[1])


# False alarms: 14 numbers at 4.9 standard errors, below 2e-5 for a new set of keys.
@pytest.mark.stat
def test_the_mean_gradient_is_that_of_the_log_evidence():
    parts, (x, _) = alone(1), runs.batch(1)
    objective = mcem(acceptance=0.8, transitions=30)

    def one(key):
        z = objective._fresh(parts, x, key[None])
        grads = _at(parts, x, z).grads.model.likelihood
        return jnp.concatenate([grads.location.weight.ravel(), grads.location.bias])

    gradients = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), 4000)))

    def negative(model):
        return -log_evidence(model, x[0])

    truth = eqx.filter_grad(negative)(parts.model).likelihood.location
    truth = np.concatenate([np.ravel(truth.weight), truth.bias])
    assert np.abs(z_of_mean(gradients - truth)).max() < LIMIT


@pytest.mark.parametrize("layers", [1, 2])
def test_chains_move_once_for_all_updates_and_only_those_of_the_minibatch(layers):
    parts, (x, keys) = alone(layers), runs.batch()
    objective = mcem(updates=3)
    memory = objective.init(parts, 20, jax.random.key(0))
    items = Items(x, jnp.arange(7) * 2)
    step = eqx.filter_jit(objective.step)
    seen = [memory]
    for _ in range(4):
        seen.append(step(parts, seen[-1], items, keys)[1])
    for before, after, moves in zip(seen[:-1], seen[1:], (True, False, False, True), strict=True):
        for one, other in zip(jax.tree.leaves(before.z), jax.tree.leaves(after.z), strict=True):
            changed = np.any(np.asarray(one) != np.asarray(other), axis=1)
            assert not changed[1::2].any()
            assert not changed[14:].any()
            assert changed[items.rows].any() == moves
    assert [int(memory.turn) for memory in seen] == [0, 1, 2, 3, 4]


def sampled(n):
    model = runs.parts_of(EXACT, 1).model
    return np.asarray(
        jax.vmap(lambda key: model.sample(key)[0])(jax.random.split(jax.random.key(7), n))
    )


def fitted(x, posterior=None, **options):
    model, q = tb.autoencoder(x, latent=2, hidden=(), likelihood="gaussian")
    # Constant noise: the linear-Gaussian model, whose likelihood is known.
    model = eqx.tree_at(
        lambda m: m.likelihood.likelihood.log_scale.weight, model, replace_fn=jnp.zeros_like
    )
    settings = {
        "objective": mcem(updates=2),
        "optimizer": optax.adam(optax.cosine_decay_schedule(2e-2, 3200)),
        "batch_size": 100,
        "epochs": 400,
    }
    return tb.fit(model, q if posterior else None, x, **(settings | options))


@pytest.mark.slow
def test_training_reaches_the_best_likelihood_and_a_posterior_learns_beside_it(states):
    x = sampled(N)
    run = fitted(x, posterior=True)
    best = fitted(x, posterior=True, objective=tb.objectives.elbo(), epochs=800)
    one, other = (mean_evidence(fit.model, x) for fit in (run, best))
    assert one == pytest.approx(other, abs=0.05)
    memory = states[399].objective
    assert memory.z.shape == (1, N, 2)
    ev = tb.evaluate(run.model, run.posterior, x[:100], k=500)
    truth = mean_evidence(run.model, x[:100])
    assert ev.mean == pytest.approx(truth, abs=0.05)
    assert truth - ev.elbo.mean() < 0.3


@eqx.filter_jit
def log_evidence_by_quadrature(model, x):
    """Over the two latent dimensions, since the noise may depend on z here."""
    nodes = jnp.linspace(-6.0, 6.0, 121)
    grid = jnp.stack(jnp.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)

    def one(x):
        log_joint = jax.vmap(lambda z: model.log_joint(x, z))(grid)
        return jax.nn.logsumexp(log_joint) + 2 * jnp.log(nodes[1] - nodes[0])

    return jax.vmap(one)(x)


def mean_evidence(model, x):
    return float(log_evidence_by_quadrature(model, x).mean())


@pytest.mark.slow
def test_a_run_resumes_with_its_chains(tmp_path, states, same_bits):
    x = sampled(60)
    small = {"batch_size": 20, "optimizer": optax.adam(1e-2)}
    fitted(x, epochs=3, seeds=2, **small)
    whole = states[2]
    fitted(x, epochs=1, seeds=2, directory=tmp_path / "run", **small)
    fitted(x, epochs=3, seeds=2, directory=tmp_path / "run", resume=True, **small)
    same_bits(states[-1], whole)
    assert int(whole.step[0]) == 3 * 3 * 2
    assert np.any(np.asarray(whole.objective.z[0]) != np.asarray(whole.objective.z[1]))


def test_with_a_prior_on_the_parameters_the_chains_are_the_same():
    parts, (x, keys) = alone(1), runs.batch()
    plain, objective = mcem(), map_estimate(mcem(), n=10)
    memory = objective.init(parts, 7, jax.random.key(0))
    (with_prior, after), (without, same) = (
        eqx.filter_jit(of.step)(parts, memory, Items.of(x), keys) for of in (objective, plain)
    )
    np.testing.assert_array_equal(after.z, same.z)
    weight = parts.model.likelihood.location.weight
    np.testing.assert_allclose(
        with_prior.grads.model.likelihood.location.weight,
        without.grads.model.likelihood.location.weight + weight / 10,
        rtol=1e-4,
        atol=1e-6,
    )
    assert objective.updates == 5


def test_wrong_use_is_refused():
    binary = np.zeros((4, 3), np.float32)
    parts = Params(*tb.autoencoder(binary, latent=2, hidden=(), posterior="bernoulli"))
    with pytest.raises(
        UsageError, match="prior on all real numbers, got BernoulliPrior with binary"
    ):
        mcem().check(parts)
    parts = Params(*tb.autoencoder(binary, latent=2, hidden=(), posterior="uniform"))
    with pytest.raises(UsageError, match="density on all real numbers, or None, got Conditional"):
        mcem().check(parts)
    for options in ({"leapfrog": 0}, {"updates": 0}, {"acceptance": 1.0}, {"transitions": 0}):
        with pytest.raises(UsageError, match="expected"):
            mcem(**options)
    with pytest.raises(UsageError, match="equally many updates .* got 1 and 5"):
        schedule([(elbo(), 2), (mcem(), 3)])
