import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tightbound as tb
from tightbound.core.digests.arrays import read_arrays
from tightbound.data.order import items_at

N, BATCH, PER_EPOCH = 9, 2, 4


def data(poisoned=None):
    train = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    if poisoned is not None:
        train[poisoned, 0] = 1000
    return train


def used_first(order, *, after):
    """An item left out of the first `after` epochs, and the step that uses it first."""
    steps = [set(np.asarray(items_at(order, s, N, BATCH)).tolist()) for s in range(40)]
    item = next(i for i in range(N) if not any(i in step for step in steps[: after * PER_EPOCH]))
    return item, next(s for s, step in enumerate(steps) if item in step)


def explode_at(bad):
    """Descent at a rate that overflows the parameters at one step."""
    return optax.sgd(lambda step: 10 * jnp.where(step == bad, 1e38, 0.001))


def test_names_the_step_the_part_and_the_items_of_a_bad_bound(pull, toy, streams):
    item, step = used_first(streams(3).order, after=1)
    options = {"objective": pull("bound"), "batch_size": BATCH, "epochs": 10, "key": 3}
    with pytest.raises(tb.NonFiniteError) as error:
        tb.fit(toy.model, toy.posterior, data(item), **options)
    message = str(error.value)
    expected = (
        f"step {step} (epoch {step // PER_EPOCH + 1}) of replica 0: the bound not finite, in items "
        f"{item}; try"
    )
    assert message.startswith(expected)
    assert "\n" not in message


def test_names_the_whole_minibatch_where_only_a_gradient_is_bad(pull, toy, streams):
    item, step = used_first(streams(3).order, after=1)
    options = {"objective": pull("posterior"), "batch_size": BATCH, "epochs": 10, "key": 3}
    with pytest.raises(tb.NonFiniteError) as error:
        tb.fit(toy.model, toy.posterior, data(item), **options)
    message = str(error.value)
    items = ", ".join(map(str, np.asarray(items_at(streams(3).order, step, N, BATCH))))
    assert f"step {step} (epoch {step // PER_EPOCH + 1}) of replica 0: " in message
    assert (
        f": the gradient of the posterior not finite, in the minibatch of items {items};" in message
    )


def test_names_the_replica(pull, toy, streams):
    """An item that only the second replica uses in the first epoch."""
    used = [
        {int(i) for s in range(PER_EPOCH) for i in items_at(streams(0, r).order, s, N, BATCH)}
        for r in range(2)
    ]
    (item,) = used[1] - used[0]
    options = {"objective": pull("bound"), "batch_size": BATCH, "epochs": 1, "seeds": 2}
    with pytest.raises(tb.NonFiniteError, match=rf"of replica 1: the bound .* in items {item};"):
        tb.fit(toy.model, toy.posterior, data(item), **options)


def test_overflowed_parameters_are_found_at_their_own_step(pull, toy):
    """Bound and gradients of step 9 are finite; what the update makes of them is not."""
    options = {"objective": pull(), "optimizer": explode_at(9), "batch_size": BATCH}
    with pytest.raises(tb.NonFiniteError) as error:
        tb.fit(toy.model, toy.posterior, data(), epochs=5, **options)
    assert re.match(
        r"step 9 \(epoch 3\) of replica 0: the updated parameters not finite, in the minibatch of "
        r"items \d, \d;",
        str(error.value),
    )


def test_overflow_in_the_last_step_of_a_run_is_no_result(pull, toy):
    options = {"objective": pull(), "optimizer": explode_at(PER_EPOCH - 1), "batch_size": BATCH}
    with pytest.raises(tb.NonFiniteError, match=r"^step 3 \(epoch 1\).*updated parameters"):
        tb.fit(toy.model, toy.posterior, data(), epochs=1, **options)


def test_a_validation_bound_that_is_not_finite_is_no_result(pull, toy):
    with pytest.raises(tb.NonFiniteError, match="^epoch 1 of replica 0: the validation bound"):
        tb.fit(
            toy.model,
            toy.posterior,
            data(),
            validation=data(1),
            objective=pull("bound"),
            batch_size=BATCH,
            epochs=2,
        )


def test_the_last_good_checkpoint_stays(
    pull, toy, tmp_path, monkeypatch, states, centre, folder_bytes
):
    monkeypatch.setattr("tightbound.training.store.CHECKPOINT_SHARE", np.inf)
    options = {
        "objective": pull(),
        "optimizer": explode_at(9),
        "batch_size": BATCH,
        "directory": tmp_path,
    }
    path = tmp_path / "checkpoints" / "last.safetensors"
    with pytest.raises(tb.NonFiniteError, match=re.escape(f"checkpoint, {path}, is kept")):
        tb.fit(toy.model, toy.posterior, data(), epochs=5, **options)
    arrays, metadata = read_arrays(path, "checkpoint")
    assert metadata["epoch"] == 2
    assert np.isfinite(arrays[".params.model.likelihood.location.bias"]).all()
    before = folder_bytes(tmp_path)
    run = tb.fit(toy.model, toy.posterior, data(), epochs=2, resume=True, **options)
    good = states[1].params.model.likelihood.location.bias[0]
    np.testing.assert_array_equal(centre(run.replicas[0]), good)
    assert len(run.history) == 2
    assert folder_bytes(tmp_path) == before


def test_says_so_where_no_checkpoint_was_written(pull, toy, tmp_path):
    options = {"objective": pull("bound"), "batch_size": N, "epochs": 2, "directory": tmp_path}
    with pytest.raises(tb.NonFiniteError, match="no checkpoint had been written yet"):
        tb.fit(toy.model, toy.posterior, data(4), **options)
    assert not (tmp_path / "checkpoints").exists()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""
