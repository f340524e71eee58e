import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests import once

import tightbound as tb
from tightbound.core.items import Items
from tightbound.core.streams import item_keys, streams
from tightbound.data.binarise import Binarisation
from tightbound.training.epoch import EpochSettings, _mean_bound


def test_returns_the_best_epoch_and_stops_in_time(pull, toy, centre, streams, descend):
    train = np.tile(np.array([[1.0, 2.0, -1.0]], np.float32), (4, 1))
    validation = 0.5 * train[:3]  # the path from 0 to the training mean passes it, then leaves it
    path = descend(train, streams(0).order, rate=0.1, batch_size=4, steps=40)
    bounds = -0.5 * ((path - validation[0]) ** 2).sum(1)
    best = int(bounds.argmax())
    assert 3 < best < 30  # or the test would show nothing
    run = tb.fit(
        toy.model,
        toy.posterior,
        train,
        validation=validation,
        objective=pull(),
        optimizer=optax.sgd(0.1),
        batch_size=4,
        epochs=40,
        early_stopping=4,
    )
    assert run.epochs_run == len(run.history) == best + 1 + 4
    reported = np.array(run.history.validation_bound)[:, 0]
    np.testing.assert_allclose(reported, bounds[: best + 5], atol=1e-6)
    np.testing.assert_allclose(centre(run.replicas[0]), path[best], rtol=1e-5)
    keys = jax.random.split(jax.random.key(0), 3)
    again = once.bound(pull(), run.replicas[0], jnp.asarray(validation), keys)
    np.testing.assert_allclose(np.mean(again), reported[best], rtol=1e-6)


def test_each_replica_keeps_its_own_best_and_the_last_one_ends_the_run(
    pull, toy, centre, streams, descend
):
    patience, epochs, per_epoch = 3, 30, 3
    rng = np.random.default_rng(0)
    train = (2 + 2 * rng.normal(size=(6, 3))).astype(np.float32)
    validation = (1 + rng.normal(size=(2, 3))).astype(np.float32)  # passed on the way from 0 to 2
    best, stops, distances = [], [], []
    for replica in range(2):
        path = descend(
            train, streams(49, replica).order, rate=0.2, batch_size=2, steps=epochs * per_epoch
        )[per_epoch - 1 :: per_epoch]
        distance = ((path[:, None] - validation) ** 2).sum((1, 2))
        top = next(
            e for e in range(epochs) if (distance[e + 1 : e + 1 + patience] >= distance[e]).all()
        )
        best.append(path[top])
        stops.append(top + 1 + patience)
        distances.append(distance)
    # The second replica waits for the first, passes a better place on the way, and leaves it.
    assert 2 < stops[1] < stops[0] < epochs
    assert distances[1][stops[1] : stops[0]].min() < distances[1][: stops[1]].min()
    run = tb.fit(
        toy.model,
        toy.posterior,
        train,
        validation=validation,
        objective=pull(),
        optimizer=optax.sgd(0.2),
        batch_size=2,
        epochs=epochs,
        early_stopping=patience,
        seeds=2,
        key=49,  # whose first replica is the later one
    )
    assert run.epochs_run == max(stops)
    assert np.array(run.history.validation_bound, np.float64).shape == (max(stops), 2)
    for replica in range(2):
        np.testing.assert_allclose(centre(run.replicas[replica]), best[replica], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 13, 50])
def test_the_validation_bound_does_not_depend_on_the_batch_size(batch_size, pull, toy, getkey):
    x = jnp.asarray(np.random.default_rng(1).random((13, 3)), jnp.float32)
    key, dynamic = getkey(), Binarisation("dynamic")
    settings = EpochSettings(batch_size, dynamic, dynamic, None, None)
    data = Items.of(x)
    mean = jax.jit(lambda: _mean_bound(pull(noisy=True), toy, None, data, key, settings))()
    binarise_key, noise_key = streams(key, "fit.validation.binarise", "fit.validation.noise")
    items = jnp.arange(13)
    binary = dynamic(x, items, use=0, key=binarise_key)
    each = once.bound(pull(noisy=True), toy, binary, item_keys(noise_key, items))
    np.testing.assert_allclose(mean, np.mean(np.asarray(each, np.float64)), rtol=1e-5)
