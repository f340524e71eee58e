from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests import once

import tightbound as tb
from tightbound.core.streams import item_keys
from tightbound.core.streams import streams as derived
from tightbound.data.binarise import Binarisation
from tightbound.data.order import items_at
from tightbound.objectives import Params

GREY = np.random.default_rng(0).random((11, 4)).astype(np.float32)


def test_reported_bounds_are_the_objectives_own(streams):
    """At rate 0 nothing moves: each epoch's bound is known from the start."""
    parts = Params(*tb.autoencoder(GREY, latent=2, hidden=()))
    objective, validation, key = tb.objectives.iwae(k=3, gradient="dreg"), GREY[:5] ** 2, 4
    run = tb.fit(
        parts.model,
        parts.posterior,
        GREY,
        validation=validation,
        objective=objective,
        optimizer=optax.sgd(0.0),
        batch_size=3,
        epochs=2,
        key=key,
    )
    keys, dynamic = streams(key), Binarisation("dynamic")

    @eqx.filter_jit
    def at(x, items, use, binarise_key, noise_key):
        binary = dynamic(jnp.asarray(x)[items], items, use=use, key=binarise_key)
        return once.bound(objective, parts, binary, item_keys(noise_key, items))

    for epoch in range(2):
        noise = jax.random.fold_in(keys.noise, epoch)
        batches = [items_at(keys.order, 3 * epoch + step, 11, 3) for step in range(3)]
        use = jnp.asarray(epoch)
        each = [at(GREY, items, use, keys.binarise, noise) for items in batches]
        np.testing.assert_allclose(run.history.train_bound[epoch], np.mean(each), rtol=1e-5)
        apart = derived(keys.validation, "fit.validation.binarise", "fit.validation.noise")
        validated = at(validation, jnp.arange(5), jnp.asarray(0), *apart)
        reported = np.array(run.history.validation_bound[epoch], np.float64)
        np.testing.assert_allclose(reported, np.mean(validated), rtol=1e-5)
    assert run.history.train_bound[0] != run.history.train_bound[1]  # fresh draws and noise
    assert run.history.validation_bound[0] == run.history.validation_bound[1]  # the same draws
    assert run.binarisation == dynamic.description
    assert run.objective == objective.description == "iwae(k=3, gradient='doubly_reparameterized')"


class Encoder(eqx.Module):
    """A user's network with a frozen table, a plain number and a function beside its weight."""

    weight: jax.Array
    table: jax.Array
    power: int = 1
    squash: Callable = jnp.tanh

    def __call__(self, x):
        return self.squash(self.power * (x[self.table] @ self.weight))


def test_training_raises_the_bound_and_changes_trained_arrays_alone():
    """Two noisy prototypes: from the bound of independent pixels up to the entropy of the data."""
    rng = np.random.default_rng(1)
    prototypes = rng.random((2, 16)) < 0.5
    flips = rng.random((240, 16)) < 0.05
    train = (prototypes[rng.integers(2, size=240)] ^ flips).astype(np.float32)
    weight = 0.3 * jax.random.normal(jax.random.key(0), (16, 6))
    encoder = Encoder(weight, jnp.arange(16)[::-1])
    model, posterior = tb.autoencoder(train, latent=1, hidden=(8,), encoder=encoder)
    given: Any = posterior
    before = jax.tree.map(lambda leaf: np.array(leaf) if eqx.is_array(leaf) else leaf, posterior)
    run = tb.fit(
        model,
        posterior,
        train,
        objective=tb.objectives.elbo(samples=2, gradient="stl"),
        optimizer=optax.adam(0.02),
        batch_size=20,
        epochs=40,
    )
    bounds = np.array(run.history.train_bound)[:, 0]
    entropy = np.log(2) - 16 * (0.05 * np.log(0.05) + 0.95 * np.log(0.95))  # 3.87 nats
    assert bounds[0] < -7
    assert -1.25 * entropy < bounds[-1] < -0.9 * entropy
    assert bounds[20:].mean() > bounds[:20].mean()
    trunk = run.posterior.trunk
    np.testing.assert_array_equal(trunk.table, encoder.table)
    assert (trunk.power, trunk.squash) == (1, jnp.tanh)
    assert float(jnp.abs(trunk.weight - weight).max()) > 0.02
    assert jax.tree.structure(run.replicas[0]) == jax.tree.structure(Params(model, posterior))
    # What was handed in is as it was.
    np.testing.assert_array_equal(given.trunk.weight, before.trunk.weight)
    np.testing.assert_array_equal(given.location.weight, before.location.weight)


def test_descent_follows_its_closed_form(pull, toy, centre, streams, descend):
    train = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)
    run = tb.fit(
        toy.model,
        toy.posterior,
        train,
        objective=pull(),
        optimizer=optax.sgd(0.3),
        batch_size=3,
        epochs=5,
        key=9,
    )
    path = descend(train, streams(9).order, rate=0.3, batch_size=3, steps=10)
    np.testing.assert_allclose(centre(run.replicas[0]), path[-1], rtol=1e-5)
    before = np.vstack([np.zeros(3), path[:-1]])
    each = [
        -0.5 * ((train[np.asarray(items_at(streams(9).order, s, 8, 3))] - c) ** 2).sum(1).mean()
        for s, c in enumerate(before)
    ]
    expected = np.reshape(each, (5, 2)).mean(1)  # of the parameters before each step
    np.testing.assert_allclose(np.array(run.history.train_bound)[:, 0], expected, rtol=1e-5)
    assert [record.epoch for record in run.history] == [1, 2, 3, 4, 5]
    assert [record.step for record in run.history] == [2, 4, 6, 8, 10]
    assert all(record.seconds > 0 for record in run.history)
    untouched = eqx.tree_at(
        lambda p: p.model.likelihood.location.bias, run.replicas[0], jnp.zeros(3)
    )
    for a, b in zip(jax.tree.leaves(untouched), jax.tree.leaves(toy), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{}, {"seeds": 2, "average": 0.9, "early_stopping": 3}])
def test_an_epoch_is_traced_once(options, pull, toy, monkeypatch):
    traced = []
    step = pull.step
    monkeypatch.setattr(pull, "step", lambda *args: traced.append(1) or step(*args))
    train = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)
    tb.fit(
        toy.model,
        toy.posterior,
        train,
        validation=train[:2] + 1,
        objective=pull(),
        optimizer=optax.adam(0.1),
        batch_size=3,
        epochs=4,
        **options,
    )
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("expected batch_size >= 1, got 0", {"batch_size": 0}),
        ("expected batch_size <= 11, the number of training items, got 12", {"batch_size": 12}),
        ("expected epochs >= 1, got 0", {"epochs": 0}),
        ("expected seeds >= 1, got -1", {"seeds": -1}),
        ("expected early_stopping >= 1, got 0", {"early_stopping": 0, "validation": GREY}),
        ("early_stopping needs validation data", {"early_stopping": 2}),
        ("expected average, a decay, between 0 and 1, got 1.0", {"average": 1.0}),
        ("expected average, a decay, between 0 and 1, got 0.0", {"average": 0.0}),
        ("directory to resume from, got directory=None", {"resume": True}),
        ("the training data: row 2, column 1 .* is inf", {"infinite": (2, 1)}),
        ("row 0, column 0 .* expected 0 or 1", {"binarize": "none"}),
        ("the validation data: row 0, column 0 .* is 2", {"validation": np.full_like(GREY, 2)}),
        ("expected binarize out of auto", {"binarize": "grey"}),
    ],
)
def test_wrong_use_is_refused_in_one_line(words, changes):
    train = GREY.copy()
    if "infinite" in changes:
        train[changes.pop("infinite")] = np.inf
    model, posterior = tb.autoencoder(GREY, latent=1, hidden=())
    call = {"objective": tb.objectives.elbo(), "batch_size": 4, "epochs": 1, **changes}
    with pytest.raises(tb.UsageError, match=words) as error:
        tb.fit(model, posterior, train, **call)
    assert "\n" not in str(error.value)


def test_validation_items_of_another_size_are_refused(toy, pull):
    x = np.zeros((5, 3), np.float32)
    call = {"objective": pull(), "batch_size": 5, "epochs": 1, "validation": x[:, :2]}
    with pytest.raises(tb.UsageError, match="the validation data: expected 3 columns, .* got 2"):
        tb.fit(*toy, x, **call)


def test_items_of_another_width_than_the_models_are_refused(toy, pull):
    with pytest.raises(tb.UsageError, match="the training data: expected 3 columns, .* got 4"):
        tb.fit(*toy, np.zeros((5, 4), np.float32), objective=pull(), batch_size=5, epochs=1)
