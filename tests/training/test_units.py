"""Fits do not depend on the units of the data: log p(x) at c x + b is that at x less d log c."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.objectives import Params
from tightbound.training.fit import Run
from tightbound.training.history import History

RNG = np.random.default_rng(4)
LOADING = np.array([[1.0, 0.3], [-0.4, 1.0], [0.6, 0.9], [-1.0, 0.2], [0.5, 0.5]])
X = RNG.standard_normal((400, 2)) @ LOADING.T + 0.5 * RNG.standard_normal((400, 5))


def fitted(x, *, epochs=60, **options):
    model, q = tb.autoencoder(x, latent=2, hidden=(), likelihood="gaussian")
    # From constant noise few steps lead to the optimum.
    flat = lambda parts, head: eqx.tree_at(head, parts, replace_fn=jnp.zeros_like)  # noqa: E731
    model = flat(model, lambda model: model.likelihood.likelihood.log_scale.weight)
    q = flat(q, lambda q: q.log_scale.weight)
    settings = {
        "objective": "elbo(samples=4)",
        "optimizer": optax.adam(optax.cosine_decay_schedule(0.05, 4 * epochs)),
        "batch_size": 100,
        "epochs": epochs,
    }
    return tb.fit(model, q, x, **settings | options)


def log_evidence(run, x):
    """By draws of the same keys, so that two fits are compared by the same draws."""
    return tb.evaluate(run.model, run.posterior, x[:100], k=500).log_evidence


@pytest.fixture(scope="module")
def at_one():
    run = fitted(X)
    return run, log_evidence(run, X)


def factor_analysis(x):
    """Mean log-density of the best linear-Gaussian model with two factors, by EM."""
    from sklearn.decomposition import FactorAnalysis

    return FactorAnalysis(2, tol=1e-8, max_iter=5000).fit(x).score(x)


def test_the_fit_is_near_the_best_there_is(at_one):
    run, _ = at_one
    ev = tb.evaluate(run.model, run.posterior, X, k=500)
    # It may be a little better, since noise may depend on z.
    assert -0.02 < ev.mean - factor_analysis(X) < 0.02


@pytest.mark.parametrize(
    ("c", "b"), [(1e-6, 0.0), pytest.param(1.0, 1000.0, marks=pytest.mark.slow), (1e6, 3e7)]
)
def test_units_move_log_p_by_their_log_jacobian(at_one, c, b):
    x = c * X + b
    moved = log_evidence(fitted(x), x) + X.shape[1] * np.log(c)
    # Data at 1000 are rounded by 3e-5 of their spread, which the fit carries on.
    np.testing.assert_allclose(moved, at_one[1], atol=5e-3)


def test_columns_of_very_different_scales_fit_as_if_standardised_by_hand(at_one):
    scales = np.array([1e-3, 1e4, 1.0, 50.0, 1e-2])
    x = X * scales + np.array([5.0, 0.0, -100.0, 2e3, 1.0])
    mean, scale = x.mean(axis=0), x.std(axis=0)
    by_hand = (x - mean) / scale
    hand = log_evidence(fitted(by_hand), by_hand) - np.log(scale).sum()
    np.testing.assert_allclose(log_evidence(fitted(x), x), hand, atol=0.02)


def test_no_optimiser_moves_the_units_and_a_file_brings_them_back(tmp_path, same_bits):
    x = 3 * X + 7
    model, q = tb.autoencoder(x, latent=2, hidden=(), likelihood="gaussian")
    run = fitted(x, epochs=1, average=0.9, optimizer=optax.adamw(0.1, weight_decay=0.5))
    units = run.model.likelihood.standardization
    same_bits(units, model.likelihood.standardization)
    same_bits(run.posterior.trunk.standardization, q.trunk.standardization)
    np.testing.assert_allclose(units.shift.values, x.mean(axis=0), rtol=1e-6)
    tb.save(tmp_path / "run.safetensors", run)
    loaded = tb.load(tmp_path / "run.safetensors")
    same_bits(loaded.replicas, run.replicas)
    np.testing.assert_array_equal(
        jax.vmap(loaded.model.likelihood.mean)(np.ones((1, 2), np.float32)),
        jax.vmap(run.model.likelihood.mean)(np.ones((1, 2), np.float32)),
    )


@pytest.mark.parametrize("kind", ["semi_implicit", "implicit"])
def test_posteriors_that_noise_drives_come_back_from_a_file(kind, tmp_path, same_bits):
    parts = Params(*tb.autoencoder(X, latent=2, hidden=(3,), posterior=kind, likelihood="gaussian"))
    run = Run(*parts, History(), [parts], "sivi(k=3)", "none", 0, 0.0)
    tb.save(tmp_path / "run.safetensors", run)
    same_bits(tb.load(tmp_path / "run.safetensors").replicas, run.replicas)


def test_a_constant_column_is_refused_by_a_fit_that_would_never_end():
    x = X.copy()
    x[:, 1], x[:, 3] = 0.1, 4.0
    with pytest.raises(UsageError, match="column 1 .* is 0.1 in every row, and 1 others are"):
        fitted(x)


def test_another_standardisation_is_no_replica_and_no_resumed_run(tmp_path):
    build = lambda key: tb.autoencoder(  # noqa: E731
        2 * X, latent=2, hidden=(), likelihood="gaussian", key=key
    )
    with pytest.raises(UsageError, match="hold the same fixed numbers"):
        fitted(X, seeds=2, build=build)
    fitted(X, epochs=1, directory=tmp_path, optimizer=optax.adam(0.01))
    other = tb.autoencoder(X[:50], latent=2, hidden=(), likelihood="gaussian")
    with pytest.raises(UsageError, match="another run: fixed numbers was arrays with SHA-256"):
        tb.fit(
            *other,
            X,
            objective="elbo(samples=4)",
            optimizer=optax.adam(0.01),
            batch_size=100,
            epochs=2,
            directory=tmp_path,
            resume=True,
        )


SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("pc_adv", "iwhvi", "pc_den", "opvi")
]


@pytest.mark.parametrize("name", SLOW)
def test_networks_beside_the_model_see_what_its_own_see(name):
    """The reported number moves by the log-Jacobian alone; that of `opvi` has scores, and stays."""
    kind = "semi_implicit" if name == "iwhvi" else "implicit"
    objective = {
        "pc_adv": tb.objectives.pc_adv(inner=2, hidden=(8,)),
        "pc_den": tb.objectives.pc_den(inner=2, hidden=(8,)),
        "iwhvi": tb.objectives.iwhvi(k=2),
        "opvi": tb.objectives.opvi(inner=2, hidden=(8,)),
    }[name]
    reported = []
    for c in (1.0, 1e4):
        model, q = tb.autoencoder(
            c * X, latent=2, hidden=(4,), posterior=kind, likelihood="gaussian"
        )
        run = tb.fit(model, q, c * X, objective=objective, batch_size=100, epochs=2)
        reported.append(run.history[-1].train_bound[0])
    expected = reported[0] - (0.0 if name == "opvi" else 5 * np.log(1e4))
    assert reported[1] == pytest.approx(expected, rel=1e-3, abs=1e-3)
