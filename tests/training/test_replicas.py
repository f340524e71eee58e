import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import tightbound as tb
from tightbound.data.binarise import Binarisation
from tightbound.networks import Dense
from tightbound.objectives import Params
from tightbound.training.epoch import EpochSettings
from tightbound.training.loop import Loop
from tightbound.training.state import reinitialised

GREY = np.random.default_rng(0).random((12, 4)).astype(np.float32)


def dense(parts):
    is_dense = lambda node: isinstance(node, Dense)  # noqa: E731
    return [node for node in jax.tree.leaves(parts, is_leaf=is_dense) if is_dense(node)]


def test_replica_0_is_the_run_of_one_seed_and_the_others_differ():
    model, posterior = tb.autoencoder(GREY, latent=2, hidden=())
    options = {
        "objective": tb.objectives.elbo(estimator="B"),
        "optimizer": optax.adam(0.03),
        "batch_size": 5,
        "epochs": 4,
        "key": 8,
    }
    one = tb.fit(model, posterior, GREY, seeds=1, **options)
    three = tb.fit(model, posterior, GREY, seeds=3, **options)
    for run, seeds in ((one, 1), (three, 3)):
        assert np.shape(run.history.train_bound) == (4, seeds)
        assert run.history.validation_bound == [None] * 4
        assert [record.step for record in run.history] == [2, 4, 6, 8]
        assert len(run.replicas) == seeds
        assert (run.model, run.posterior) == tuple(run.replicas[0])
    alone, among = (np.array(run.history.train_bound) for run in (one, three))
    np.testing.assert_allclose(among[:, 0], alone[:, 0], rtol=1e-4)
    assert len(np.unique(among[-1])) == 3
    for a, b in zip(jax.tree.leaves(one.replicas), jax.tree.leaves(three.replicas[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for a, b in zip(dense(three.replicas[i]), dense(three.replicas[j]), strict=True):
            assert float(jnp.abs(a.weight - b.weight).min()) > 0
    moved = np.abs(dense(one.replicas[0])[0].weight - dense(model)[0].weight).max()
    assert moved < 8 * 0.04  # replica 0 starts from the weights given: 8 steps of Adam at 0.03


def test_a_replica_does_not_depend_on_how_many_there_are(pull, toy, same_bits):
    none = Binarisation("none")
    settings = EpochSettings(2, none, none, None, None)

    def loop(seeds):
        _, static = eqx.partition(toy, eqx.is_inexact_array)
        data = tb.source(toy.model, np.zeros((4, 3), np.float32))
        return Loop(static, pull(), optax.sgd(1.0), settings, jax.random.key(3), seeds, data, None)

    few, many = loop(2), loop(5)
    same_bits(
        jax.random.key_data(jnp.stack(few.keys)), jax.random.key_data(jnp.stack(many.keys))[:, :2]
    )
    same_bits(few.start(toy), jax.tree.map(lambda leaf: leaf[:2], many.start(toy)))
    first = jax.tree.map(lambda leaf: leaf[0], few.start(toy).params)
    same_bits(first, eqx.filter(toy, eqx.is_inexact_array))


class Own(eqx.Module):
    weight: jax.Array
    inner: Dense

    def __call__(self, x):
        return self.inner(x * self.weight)


@pytest.mark.stat
def test_fresh_weights_are_glorot_and_nothing_else_changes(getkey):
    """Kolmogorov-Smirnov against the uniform law, 4 layers; false alarms 4e-4."""
    own = Own(jnp.full(4, 2.0), Dense(jnp.ones((4, 30)), jnp.full(30, 7.0)))
    parts = Params(*tb.autoencoder(GREY, latent=20, hidden=(50,), encoder=own))
    fresh = reinitialised(parts, getkey())
    assert jax.tree.structure(fresh) == jax.tree.structure(parts)
    np.testing.assert_array_equal(fresh.posterior.trunk.weight, own.weight)
    pairs = list(zip(dense(parts), dense(fresh), strict=True))
    assert len(pairs) == 5
    for before, after in pairs:
        np.testing.assert_array_equal(after.bias, before.bias)
        limit = np.sqrt(6 / sum(after.weight.shape))
        values = np.asarray(after.weight).ravel()
        assert np.abs(values).max() < limit
        if values.size > 150:
            assert stats.kstest(values, "uniform", (-limit, 2 * limit)).pvalue > 1e-4
    flat = [np.asarray(after.weight).ravel()[:80] for _, after in pairs]
    assert np.abs(np.corrcoef(flat) - np.eye(5)).max() < 0.5  # no two layers alike


def test_replicas_run_together_are_replicas_run_one_by_one(pull, toy, centre, monkeypatch):
    """The first is done on accelerators, the second on CPU."""
    train = np.random.default_rng(1).random((7, 3)).astype(np.float32)
    options = {
        "validation": train[:3],
        "objective": pull(noisy=True),
        "optimizer": optax.adam(0.1),
        "batch_size": 2,
        "epochs": 3,
        "seeds": 2,
        "average": 0.9,
        "early_stopping": 2,
    }
    one_by_one = tb.fit(toy.model, toy.posterior, train, **options)
    monkeypatch.setattr("tightbound.training.loop.jax.default_backend", lambda: "gpu")
    together = tb.fit(toy.model, toy.posterior, train, **options)
    for name in ("train_bound", "validation_bound"):
        bounds = [np.array(getattr(run.history, name)) for run in (one_by_one, together)]
        np.testing.assert_allclose(*bounds, rtol=1e-5)
    for a, b in zip(one_by_one.replicas, together.replicas, strict=True):
        np.testing.assert_allclose(centre(a), centre(b), rtol=1e-5)


class Mixing(eqx.Module):
    """A network without dense layers of ours, whose weights somebody draws."""

    weight: jax.Array

    def __call__(self, x):
        return jnp.tanh(x @ self.weight)


def with_own_networks(key):
    one, two = jax.random.split(key)
    return tb.autoencoder(
        GREY,
        latent=2,
        hidden=(),
        encoder=Mixing(jax.random.normal(one, (4, 3))),
        decoder=Mixing(jax.random.normal(two, (2, 3))),
        key=key,
    )


STILL = {
    "objective": tb.objectives.elbo(),
    "optimizer": optax.set_to_zero(),
    "batch_size": 4,
    "epochs": 1,
}


def test_replicas_of_networks_of_your_own_are_built_anew():
    model, posterior = with_own_networks(jax.random.key(0))
    run = tb.fit(model, posterior, GREY, seeds=3, build=with_own_networks, **STILL)
    first = tb.fit(model, posterior, GREY, seeds=1, **STILL)
    for a, b in zip(
        jax.tree.leaves(first.replicas[0]), jax.tree.leaves(run.replicas[0]), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for network in (
            lambda parts: parts.posterior.trunk,
            lambda parts: parts.model.likelihood.trunk,
        ):
            a, b = (network(run.replicas[replica]).weight for replica in (i, j))
            assert float(jnp.abs(a - b).min()) > 0


def test_replicas_that_would_be_one_are_refused():
    model, posterior = with_own_networks(jax.random.key(0))
    with pytest.raises(tb.UsageError, match=r"how .*trunk.weight, .* pass build="):
        tb.fit(model, posterior, GREY, seeds=2, **STILL)
    mixture = tb.models.gaussian_mixture(GREY, components=2)
    with pytest.raises(tb.UsageError, match="pass build="):
        tb.fit(mixture, None, GREY, seeds=2, **STILL | {"objective": tb.objectives.exact()})
    for build, words in (
        (lambda key: model, "expected build.key. to give .model, posterior., got"),
        (lambda key: tb.autoencoder(GREY, latent=2, hidden=()), "of one form: .* is missing"),
    ):
        with pytest.raises(tb.UsageError, match=words):
            tb.fit(model, posterior, GREY, seeds=2, build=build, **STILL)
