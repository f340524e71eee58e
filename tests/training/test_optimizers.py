import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tightbound as tb
from tightbound.core.names import check_optimizer
from tightbound.training.optimizers import (
    IWAE_EPOCHS,
    IWAE_RATES,
    SCHEDULES,
    by_name,
    default_rate,
    iwae_adam,
    iwae_schedule,
    schedule_by_name,
)

NAMED = ("adam", "adamw", "adagrad", "sgd", "rmsprop", "muon", "iwae_adam")


def authors_adam(theta, grads, rates):
    """Adam as the authors of IWAE wrote it, in float64, on sums of gradients to descend."""
    b1, b2, epsilon = 0.99, 0.999, 1e-4
    m, v, passed = np.zeros_like(theta), np.ones_like(theta), []
    for t, (g, rate) in enumerate(zip(grads, rates, strict=True), start=1):
        alpha = rate * math.sqrt(1 - b2**t) / (1 - b1**t)
        theta, m, v = (
            theta - alpha * m / (np.sqrt(v) + epsilon),
            b1 * m + (1 - b1) * g,
            b2 * v + (1 - b2) * g**2,
        )
        passed.append(theta)
    return np.array(passed)


@pytest.mark.parametrize("scheduled", [False, True])
def test_iwae_adam_is_the_authors_adam(scheduled):
    rng, batch_size = np.random.default_rng(0), 20
    start, means = rng.normal(size=(4, 3)), rng.normal(size=(10, 4, 3))
    rates = [2e-3 / (1 + t) if scheduled else 2e-3 for t in range(10)]
    rate = (lambda step: 2e-3 / (1 + step)) if scheduled else 2e-3
    optimizer = iwae_adam(rate, batch_size)
    state, updates = optimizer.init({"w": jnp.asarray(start, jnp.float32)}), []
    with jax.numpy_dtype_promotion("standard"):
        for mean in means:
            update: Any
            update, state = optimizer.update({"w": jnp.asarray(mean, jnp.float32)}, state)
            updates.append(update["w"])
    path = authors_adam(start, batch_size * means, rates)
    expected = np.diff(path, axis=0, prepend=start[None])
    assert not np.any(updates[0])  # one step late
    assert np.abs(expected[1:]).max(axis=(1, 2)).min() > 1e-4  # or the test would show nothing
    np.testing.assert_allclose(updates, expected, rtol=1e-5, atol=1e-9)


def test_iwae_schedule_has_the_published_stages():
    assert IWAE_EPOCHS == (1, 3, 9, 27, 81, 243, 729, 2187)
    assert sum(IWAE_EPOCHS) == 3280
    for i, rate in enumerate(IWAE_RATES):
        assert rate == pytest.approx(1e-4 * round(10 ** (1 - i / 7), 1))  # the authors' rounding
        assert rate == pytest.approx(0.001 * 10 ** (-i / 7), rel=0.02)


@pytest.mark.parametrize("per_epoch", [59_600 // 20, 23_000 // 20, 50_000 // 20])
def test_iwae_schedule_changes_after_whole_stages(per_epoch):
    """2980, 1150 and 2500 minibatches per epoch: MNIST, OMNIGLOT, binarised MNIST."""
    assert per_epoch in (2980, 1150, 2500)
    rate: Any = iwae_schedule(per_epoch)
    ends = [1, 4, 13, 40, 121, 364, 1093, 3280]
    for i, end in enumerate(ends):
        last = end * per_epoch - 1
        assert float(rate(last)) == pytest.approx(IWAE_RATES[i])
        following = IWAE_RATES[min(i + 1, 7)]
        assert float(rate(last + 1)) == pytest.approx(following)
    assert float(rate(0)) == pytest.approx(1e-3)


def test_shorter_runs_shrink_the_stages_alike():
    rate: Any = iwae_schedule(10, epochs=328)  # a tenth
    for end, before, after in zip((1, 4, 13, 40, 121), IWAE_RATES, IWAE_RATES[1:], strict=False):
        assert float(rate(end - 1)) == pytest.approx(before)
        assert float(rate(end)) == pytest.approx(after)
    tiny: Any = iwae_schedule(1, epochs=3)
    assert [float(tiny(step)) for step in range(3)] == pytest.approx([1e-3, 1.4e-4, 1e-4], rel=0.5)


def test_schedules_by_name():
    def at(name, step):
        schedule: Any = schedule_by_name(name, 0.4, steps_per_epoch=5, epochs=20)
        return float(schedule(step))

    assert [at("constant", s) for s in (0, 50, 100)] == pytest.approx([0.4, 0.4, 0.4])
    assert [at("linear", s) for s in (0, 25, 100)] == pytest.approx([0.4, 0.3, 0.0])
    cosine = [0.2 * (1 + math.cos(math.pi * s / 100)) for s in (0, 25, 50, 100)]
    assert [at("cosine", s) for s in (0, 25, 50, 100)] == pytest.approx(cosine, abs=1e-7)
    assert at("iwae", 0) == pytest.approx(0.4)
    assert at("iwae", 99) == pytest.approx(0.04)
    with pytest.raises(tb.UsageError, match=f"one of {', '.join(SCHEDULES)}, got 'warm'"):
        schedule_by_name("warm", 0.1, steps_per_epoch=1, epochs=1)


def step_of(optimizer) -> Any:
    """The second update at a fixed gradient."""
    grads = {"w": jnp.array([[1.0, 2.0], [-3.0, 1.0]]), "b": jnp.array([0.5, -0.5])}
    params = jax.tree.map(jnp.ones_like, grads)
    with jax.numpy_dtype_promotion("standard"):
        _, state = optimizer.update(grads, optimizer.init(params), params)
        return optimizer.update(grads, state, params)[0]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop", "lion", "nadam"])
def test_optax_names_give_optax_optimizers(name, same_bits):
    same_bits(step_of(by_name(name, 0.1, batch_size=7)), step_of(getattr(optax, name)(0.1)))


def test_adagrad_starts_its_sums_at_zero_and_so_does_not_mind_the_gradients_scale():
    # Duchi et al. (2011): the second update at a fixed gradient g is -rate g / sqrt(2 g^2).
    updates = step_of(by_name("adagrad", 0.1, batch_size=7))
    np.testing.assert_allclose(updates["b"], [-0.1 / math.sqrt(2), 0.1 / math.sqrt(2)], rtol=1e-3)


def test_muon_turns_matrices_into_rotations_and_leaves_the_rest_to_adam():
    updates = step_of(by_name("muon", 0.1, batch_size=7))
    singular = np.linalg.svd(updates["w"], compute_uv=False)
    assert singular[0] / singular[1] < 1.8  # 3.6 for the gradient itself
    np.testing.assert_allclose(
        updates["b"], step_of(optax.adam(0.01, nesterov=True))["b"], rtol=1e-4
    )


def test_names_of_our_own():
    ours = step_of(by_name("iwae_adam", 0.1, batch_size=7))
    same = step_of(iwae_adam(0.1, 7))
    jax.tree.map(np.testing.assert_array_equal, ours, same)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "adma",
        "Adam",
        "contrib",
        "apply_updates",
        "constant_schedule",
        "GradientTransformation",
        "Schedule",
        "scale_by_rprop",  # would climb
        "dpsgd",  # needs more than a rate
        "lbfgs",  # needs the loss
        "momo",  # needs the loss's value
    ],
)
def test_other_names_are_refused_in_words(name):
    with pytest.raises(tb.UsageError, match=f"^(expected|the optimizer {name} of Optax is not)"):
        by_name(name, 0.1, batch_size=1)


def test_a_wrong_name_comes_before_a_lacking_rate():
    with pytest.raises(tb.UsageError, match="got 'adma'; did you mean adam"):
        default_rate("adma")
    with pytest.raises(tb.UsageError, match="sgd needs a learning rate"):
        default_rate("sgd")
    assert default_rate("muon") == 0.02


def test_a_call_as_text_is_the_optimizer_that_it_says(same_bits):
    same_bits(
        step_of(by_name("adam(learning_rate=0.1, b1=0.5)", batch_size=7)),
        step_of(optax.adam(0.1, b1=0.5)),
    )
    assert default_rate("adam(learning_rate=0.1)") == 0.1
    for text, message in [
        ("adam(learning_rate=0)", "learning_rate > 0"),
        ("adam(learning_rate=True)", "learning_rate > 0"),
        ("adam(0.1)", "by name"),
        ("adam(b3=0.1)", "takes numbers for .*b1, b2.* but not b3"),
        ("adam(b1='x')", "but not b1='x'"),
        ("iwae_adam(b1=0.5)", "but not b1"),
        ("adam(b1=0.5", "expected a name or a call"),
    ]:
        with pytest.raises(tb.UsageError, match=message):
            by_name(text, batch_size=7)
    with pytest.raises(tb.UsageError, match="its own learning rate"):
        check_optimizer("adam(learning_rate=0.1)", 0.2)


@pytest.mark.filterwarnings("ignore:Specifying a key:UserWarning")
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_every_name_of_optax_gives_an_optimizer_or_is_refused():
    accepted = []
    for name in {*dir(optax), *dir(optax.contrib)}:
        try:
            optimizer = by_name(name, 0.01, batch_size=1)
        except tb.UsageError:
            continue
        accepted.append(name)
        assert isinstance(optimizer, optax.GradientTransformation), name
    assert len(accepted) > 30
    assert {"adam", "adamw", "adagrad", "sgd", "rmsprop", "muon"} <= set(accepted)


@pytest.mark.parametrize("name", NAMED)
def test_named_optimizers_train_under_strict_promotion(name, pull, toy):
    train = np.tile(np.array([[1.0, 2.0, -1.0]], np.float32), (4, 1))
    run = tb.fit(
        toy.model,
        toy.posterior,
        train,
        objective=pull(),
        optimizer=by_name(name, 0.05, batch_size=2),
        batch_size=2,
        epochs=6,
        seeds=2,
    )
    bounds = np.array(run.history.train_bound)
    assert (np.diff(bounds, axis=0) > 0).all()
    assert bounds[0] == pytest.approx(-3, abs=0.5)
