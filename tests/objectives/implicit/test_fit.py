"""Fits of implicit parts: what is learned, kept, resumed, watched and refused."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.objectives.implicit.toys import SPREAD, Affine, implicit, model

import tightbound as tb
from tightbound.core.items import Items
from tightbound.core.streams import item_keys
from tightbound.distributions import FromSimulator, Implicit
from tightbound.models import restoration
from tightbound.objectives import (
    Params,
    ali,
    amortized_map,
    jc_adv_rmd,
    opvi,
    pc_adv,
    pc_den,
)

X = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32) * 1.3
SMALL = {"hidden": (16,), "inner": 1}


def fitted(objective, parts=None, x=X, **options):
    parts = (model(), implicit()) if parts is None else parts
    settings = {"batch_size": 32, "epochs": 2, "optimizer": optax.adam(1e-3)} | options
    return tb.fit(*parts, x, objective=objective, progress=False, **settings)


@pytest.mark.slow
def test_resumed_to_the_last_bit(tmp_path):
    objective = pc_den(**SMALL, sigma=(1.0, 0.2, 3))
    whole = fitted(objective, epochs=4, directory=tmp_path / "whole")
    fitted(objective, epochs=2, directory=tmp_path / "parts")
    resumed = fitted(objective, epochs=4, directory=tmp_path / "parts", resume=True)
    assert resumed.history.train_bound == whole.history.train_bound
    for a, b in zip(
        jax.tree.leaves(whole.objective_states),
        jax.tree.leaves(resumed.objective_states),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(
        jax.tree.leaves(whole.posterior), jax.tree.leaves(resumed.posterior), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_an_implicit_run_is_saved_and_loaded(tmp_path):
    parts = model(), tb.posterior(model(), "implicit", hidden=(4,))
    run = fitted(pc_adv(**SMALL), parts, validation=X[:7], seeds=2)
    tb.save(tmp_path / "run.safetensors", run)
    again = tb.load(tmp_path / "run.safetensors")
    key = jax.random.key(1)
    np.testing.assert_array_equal(
        again.posterior.sample(jnp.asarray(X[0]), key=key),
        run.posterior.sample(jnp.asarray(X[0]), key=key),
    )
    assert again.history[0].info == run.history[0].info
    assert set(run.history[0].info) == {"classifier_loss", "classifier_accuracy"}
    assert len(run.history[0].info["classifier_loss"]) == 2
    assert 0.3 < run.history[-1].info["classifier_accuracy"][0] < 1
    assert np.isfinite(run.history.validation_bound).all()
    both = [tb.diagnostics.ratio_calibration(r, pc_adv(**SMALL), X)[0] for r in (run, again)]
    np.testing.assert_array_equal(both[0].observed, both[1].observed)
    assert both[0].loss == both[1].loss


def test_a_separating_classifier_is_warned_of():
    far = FromSimulator(lambda _, key: 50 + jax.random.normal(key, (2,)))
    parts = tb.Model(far, model().likelihood), implicit()
    with pytest.warns(UserWarning, match="tells q and its contrast apart") as caught:
        fitted(pc_adv(hidden=(16,), inner=20, rate=1e-2), parts, epochs=4)
    assert len(caught) == 1


@pytest.mark.slow
def test_calibration_on_fresh_draws():
    # Where both sides are one distribution nothing can be told: log 2, a half, and calibrated.
    parts = tb.Model(FromSimulator(lambda _, key: jax.random.normal(key, (2,))), model().likelihood)
    q = Implicit(network=lambda noise, x: noise, noise=2)
    objective = pc_adv(hidden=(16,), inner=1)
    run = fitted(objective, (parts, q))
    (found,) = tb.diagnostics.ratio_calibration(run, objective, X, draws=20_000)
    assert found.loss == pytest.approx(np.log(2), abs=0.05)
    assert found.accuracy == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(40_000) + 0.01)
    assert found.error < 0.15
    assert found.counts.sum() == 40_000
    assert "40000 fresh draws" in found.summary()
    with pytest.raises(tb.UsageError, match="no classifier to calibrate"):
        tb.diagnostics.ratio_calibration(fitted(pc_den(**SMALL)), pc_den(**SMALL), X)


@pytest.mark.slow
def test_calibration_is_at_the_noise_of_the_last_epoch():
    falling, fallen = (pc_adv(**SMALL, instance_noise=n) for n in ((2.0, 0.1, 1), 0.1))
    run = fitted(falling)
    (one,), (other,) = (
        tb.diagnostics.ratio_calibration(run, objective, X, draws=200)
        for objective in (falling, fallen)
    )
    assert one.loss == other.loss


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(
            pc_adv(inner=3, contrast="adaptive", hidden=(32,), rate=3e-3), marks=pytest.mark.slow
        ),
        pytest.param(pc_den(inner=3, hidden=(32,), rate=3e-3), marks=pytest.mark.slow),
        pytest.param(opvi(), marks=pytest.mark.slow),
    ],
    ids=lambda objective: objective.description[:6],
)
def test_a_normal_target_is_found(objective):
    # N((1, -1), diag(0.25, 1)), from q = 0.3 N(0, I) or so: means to 0.15, deviations to 20 %.
    mean, scale = jnp.array([1.0, -1.0]), jnp.array([0.5, 1.0])
    target = tb.Target(lambda z: -0.5 * jnp.sum(((z - mean) / scale) ** 2), 2)
    q = tb.posterior(target, "implicit", hidden=(16,))
    run = tb.fit(
        target, q, objective=objective, steps=1500, batch_size=128, optimizer=optax.adam(3e-3)
    )
    keys = jax.random.split(jax.random.key(3), 4000)
    z = np.asarray(jax.vmap(lambda key: run.posterior.sample(jnp.zeros(0), key=key))(keys))
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(z.std(axis=0), scale, rtol=0.2)


@pytest.mark.slow
def test_differentiating_through_the_classifier_stays_at_the_posterior():
    # From 300 gradients at the exact posterior, whose means have standard errors near 4e-4. The
    # mean logit alone, in place of the divergence's dual, has -4.5e-3 here, and drifts away.
    variance = 1 / (1 + 1 / SPREAD**2)
    x = np.random.default_rng(4).normal(size=(400, 64, 2)) * np.sqrt(1 + SPREAD**2)
    network = Affine(
        jnp.eye(2) / (1 + SPREAD**2), jnp.zeros(2), jnp.full(2, 0.5 * jnp.log(variance))
    )
    parts = Params(model(), Implicit(network=network, noise=2))
    objective = jc_adv_rmd(inner=10, hidden=(16,))

    def gradient(memory, given):
        x, key = given
        items = jnp.arange(64)
        step, memory = objective.step(parts, memory, Items(x, items), item_keys(key, items))
        return memory, step.grads.posterior.network.log_scale

    start = objective.init(parts, 64, jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 400)
    _, found = jax.jit(lambda *given: jax.lax.scan(gradient, start, given))(
        jnp.asarray(x, jnp.float32), keys
    )
    np.testing.assert_allclose(np.mean(found[100:], axis=0), 0, atol=2.5e-3)


class Shifted(eqx.Module):
    """x = shift + z + noise / 2."""

    shift: jax.Array

    def __call__(self, noise, z):
        return self.shift + z + 0.5 * noise


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(jc_adv_rmd(inner=5, hidden=(16,), rate=2e-2), marks=pytest.mark.slow),
        pytest.param(ali(inner=2, hidden=(16,), rate=3e-3), marks=pytest.mark.slow),
    ],
    ids=["rmd", "ali"],
)
def test_the_model_is_learned_where_everything_is_implicit(objective):
    # Data are N(1.5, 1.25): the shift of the model is to find 1.5.
    x = (1.5 + 1.25**0.5 * np.random.default_rng(1).normal(size=(256, 1))).astype(np.float32)
    likelihood = Implicit(network=Shifted(jnp.zeros(1)), noise=1)
    prior = FromSimulator(lambda _, key: jax.random.normal(key, (1,)))
    both = tb.Model(prior, likelihood)
    q = tb.posterior(both, "implicit", hidden=(16,), noise=1)
    run = fitted(
        objective, (both, q), x, batch_size=128, epochs=300, optimizer=optax.adam(1e-2, b1=0.5)
    )
    assert float(run.model.likelihood.network.shift[0]) == pytest.approx(1.5, abs=0.3)


@pytest.mark.parametrize("guide", [pytest.param("classifier", marks=pytest.mark.slow), "denoiser"])
@pytest.mark.slow
def test_restored_values_fit_the_degradation_and_the_prior(guide):
    # Clean values lie at (0, 2) and (2, 0), seen by their mean alone: both are restored from 1.
    rng = np.random.default_rng(2)
    clean = np.array([[0.0, 2.0], [2.0, 0.0]])[rng.integers(0, 2, 512)]
    clean = (clean + 0.05 * rng.normal(size=clean.shape)).astype(np.float32)
    matrix = np.full((1, 2), 0.5, np.float32)
    x = clean @ matrix.T
    parts = restoration(clean, matrix, hidden=(16,))
    restore = lambda q: np.asarray(  # noqa: E731
        jax.vmap(lambda x: q.sample(x, key=jax.random.key(0)))(jnp.asarray(x))
    )
    np.testing.assert_allclose(restore(parts[1]) @ matrix.T, x, atol=1e-5)
    with warnings.catch_warnings():
        # For some epochs the classifier wins, before the network has seen where values are.
        warnings.simplefilter("ignore", UserWarning)
        run = fitted(
            amortized_map(guide=guide, inner=2, hidden=(32,), rate=3e-3, noise=0.3),
            parts,
            x,
            batch_size=128,
            epochs=300,
            optimizer=optax.adam(3e-3, b1=0.5),
        )
    restored = restore(run.posterior)
    np.testing.assert_allclose(restored @ matrix.T, x, atol=1e-5)
    distance = np.minimum(
        np.linalg.norm(restored - [0, 2], axis=1), np.linalg.norm(restored - [2, 0], axis=1)
    )
    assert np.mean(distance) < 0.3


def test_wrong_use_is_refused():
    for make, words in (
        (lambda: pc_adv(inner=0), "inner >= 1"),
        (lambda: pc_adv(rate=0.0), "rate > 0"),
        (lambda: pc_adv(hidden=()), "hidden as widths"),
        (lambda: pc_adv(contrast="none"), "contrast out of prior, adaptive"),
        (lambda: pc_adv(contrast="adaptive", instance_noise=0.1), "instance_noise=0"),
        (lambda: pc_adv(instance_noise=(1.0, 0.0, 5)), "instance_noise > 0, or 0 for none"),
        (lambda: pc_den(sigma=0.0), "sigma > 0 or a triple"),
        (lambda: pc_den(prior="none"), "prior out of exact, denoiser"),
        (lambda: amortized_map(guide="none"), "guide out of classifier, denoiser"),
        (lambda: tb.posterior(model(), "flew"), "kind of posterior to be one of"),
        (
            # Past jaxtyping, which would say so first, in other words.
            lambda: restoration.__wrapped__(X, np.ones((1, 3), np.float32)),
            r"shape \(n, 2\)",
        ),
    ):
        with pytest.raises(tb.UsageError, match=words):
            make()
    target = tb.Target(lambda z: -jnp.sum(z**2), 2)
    for options, words in (
        ({"objective": tb.objectives.elbo()}, "expected steps="),
        ({"objective": tb.objectives.elbo(), "steps": 0}, "steps >= 1"),
    ):
        with pytest.raises(tb.UsageError, match=words):
            tb.fit(target, tb.posterior(target, "normal"), **options)
    with pytest.raises(tb.UsageError, match="a Target has no data"):
        tb.fit(target, tb.posterior(target, "normal"), X, objective=tb.objectives.elbo(), steps=1)
    with pytest.raises(tb.UsageError, match="pass epochs= instead"):
        fitted(pc_adv(), steps=3)
