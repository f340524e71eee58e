import numpy as np
import optax

import tightbound as tb


def test_the_average_is_that_of_the_steps_passed(pull, toy, centre, streams, descend, states):
    train = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    decay, rate, steps = 0.6, 0.3, 12  # 0.6 is reached at t = 13/2, within the run
    run = tb.fit(
        toy.model,
        toy.posterior,
        train,
        validation=train[:2],
        objective=pull(),
        optimizer=optax.sgd(rate),
        batch_size=2,
        epochs=4,
        average=decay,
        key=5,
    )
    path = descend(train, streams(5).order, rate=rate, batch_size=2, steps=steps)
    averages, average = [], np.zeros(3)
    for t, c in enumerate(path):
        share = min(decay, (1 + t) / (10 + t))
        average = share * average + (1 - share) * c
        averages.append(average)
    for epoch, state in enumerate(states):
        last = 3 * epoch + 2
        params, mean = (
            tree.model.likelihood.location.bias[0] for tree in (state.params, state.average)
        )
        np.testing.assert_allclose(params, path[last], rtol=1e-5)
        np.testing.assert_allclose(mean, averages[last], rtol=1e-5)
    np.testing.assert_allclose(centre(run.replicas[0]), averages[-1], rtol=1e-5)
    # What is validated is what is returned.
    validated = -0.5 * ((averages[-1] - train[:2]) ** 2).sum(1).mean()
    reported = np.array(run.history.validation_bound, np.float64)
    np.testing.assert_allclose(reported[-1], [validated], rtol=1e-5)


def test_the_average_is_kept_at_its_best_epoch(pull, toy, centre, states):
    train = np.tile(np.array([[1.0, 2.0, -1.0]], np.float32), (2, 1))
    run = tb.fit(
        toy.model,
        toy.posterior,
        train,
        validation=0.5 * train,
        objective=pull(),
        optimizer=optax.sgd(0.2),
        batch_size=2,
        epochs=30,
        average=0.9,
        early_stopping=3,
    )
    bounds = np.array(run.history.validation_bound, np.float64)[:, 0]
    best = int(np.argmax(bounds))
    assert 0 < best == len(bounds) - 4
    kept = states[best].average.model.likelihood.location.bias[0]
    np.testing.assert_array_equal(centre(run.replicas[0]), kept)
