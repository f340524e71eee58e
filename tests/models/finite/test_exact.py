"""Sums over all latent values against SciPy, Python, finite differences and importance sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import special
from tests import once
from tests.models.finite import models
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.distributions import Bernoulli, BernoulliPrior, StandardNormal
from tightbound.models import Model
from tightbound.models.finite import enumerated_log_joint, log_evidence, responsibilities
from tightbound.networks import MLP, Dense
from tightbound.objectives import Params, exact
from tightbound.objectives.registry import build

MODELS = {
    "gaussians": (models.three_gaussians, models.gaussian_data(9)),
    "network": (models.network, models.binary_data(9)),
    "pixels": (models.pixel_mixture, models.binary_data(9)),
}
every_model = pytest.mark.parametrize(("make", "x"), MODELS.values(), ids=MODELS)


def test_mixture_of_gaussians_is_that_of_scipy():
    model, x = models.three_gaussians(), models.gaussian_data(50)
    log_joint = models.scipy_log_joint(model, x)
    truth = special.logsumexp(log_joint, axis=1)
    result = tb.evidence.exact(model, x)
    np.testing.assert_allclose(result.log_evidence, truth, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        enumerated_log_joint(model, jnp.asarray(x)), log_joint, rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(
        responsibilities(model, jnp.asarray(x)), special.softmax(log_joint, axis=1), atol=1e-5
    )
    assert result.mean == pytest.approx(truth.mean(), rel=1e-5)
    assert result.stderr_data == pytest.approx(truth.std(ddof=1) / np.sqrt(50), rel=1e-4)


@pytest.mark.parametrize("units", [1, 4])
def test_product_bernoulli_is_the_sum_in_python(units):
    model, x = models.network(units=units), models.binary_data(9)
    truth = [models.summed_in_python(model, row) for row in x]
    np.testing.assert_allclose(tb.evidence.exact(model, x).log_evidence, truth, rtol=1e-5)


@every_model
def test_gradients_are_finite_differences_and_fishers_identity(make, x):
    with jax.enable_x64(True):
        model, x = make(np.float64), jnp.asarray(x, jnp.float64)
        keys = jax.random.split(jax.random.key(0), len(x))
        step = once.compiled(exact())(Params(model, None), x, keys)
        np.testing.assert_allclose(step.bound, log_evidence(model, x), rtol=1e-12)
        assert step.grads.posterior is None
        gradient, _ = ravel_pytree(step.grads.model)
        assert np.abs(gradient).min() > 0

        flat, unravel = ravel_pytree(model)
        value = jax.jit(lambda flat: -jnp.mean(log_evidence(unravel(flat), x)))
        moves = 1e-5 * np.eye(len(flat))
        numeric = [(value(flat + move) - value(flat - move)) / 2e-5 for move in moves]
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-8)

        weights = responsibilities(model, x)

        def expected(model):
            return -jnp.mean(jnp.sum(weights * enumerated_log_joint(model, x), axis=1))

        fisher, _ = ravel_pytree(jax.jit(jax.grad(expected))(model))
        np.testing.assert_allclose(gradient, fisher, rtol=0, atol=1e-12)


@pytest.mark.stat
@pytest.mark.parametrize("name", ["gaussians", "network"])
def test_importance_sampling_agrees_within_its_error_bar(name):
    # 100 comparisons each at 4.9 standard errors: false alarms below 2e-4 for a new key.
    if name == "gaussians":
        model, x = models.three_gaussians(), models.gaussian_data(100)
        posterior = model.prior
    else:
        model, x = models.network(), models.binary_data(100)
        posterior = Bernoulli(MLP((), "tanh"), Dense(0.1 * jnp.ones((6, 4)), jnp.zeros(4)))
    sampled = tb.evaluate(model, posterior, x, k=4000, chunk=500, key=1)
    truth = tb.evidence.exact(model, x).log_evidence
    assert np.median(sampled.stderr) < 0.05
    # The bias of first order, half the variance, is known.
    z = (sampled.log_evidence + sampled.stderr**2 / 2 - truth) / sampled.stderr
    assert np.abs(z).max() < LIMIT
    assert 0.7 < z.std() < 1.3


def test_batches_change_nothing_and_rows_stay_in_order():
    model, x = models.network(), models.binary_data(23)
    whole = tb.evidence.exact(model, x, batch_size=23).log_evidence
    for size in (1, 7, 100):
        part = tb.evidence.exact(model, x, batch_size=size).log_evidence
        np.testing.assert_allclose(part, whole, rtol=1e-6)


def test_large_sums_are_cut_into_batches(monkeypatch):
    from tightbound.models import finite

    model, x = models.network(), models.binary_data(23)
    whole = tb.evidence.exact(model, x).log_evidence
    monkeypatch.setattr(finite, "ENTRIES", 16 * 6 * 5)
    assert finite.items_at_once(model, 6) == 5
    np.testing.assert_allclose(tb.evidence.exact(model, x).log_evidence, whole, rtol=1e-6)


def test_grey_values_are_binarised_as_evaluate_does():
    grey = np.random.default_rng(0).random((9, 6)).astype(np.float32)
    model = models.network()
    result = tb.evidence.exact(model, grey, key=3)
    assert result.binarisation == "one draw per item"
    other = tb.evidence.exact(model, grey, key=4).log_evidence
    assert not np.allclose(result.log_evidence, other)
    # One latent value: any number of draws gives log p(x).
    single = Model(BernoulliPrior(jnp.full(4, -200.0)), model.likelihood)
    drawn = tb.evaluate(single, single.prior, grey, k=2, key=3).log_evidence
    np.testing.assert_allclose(tb.evidence.exact(single, grey, key=3).log_evidence, drawn, 1e-5)


def test_the_catalogue_says_that_it_takes_no_options():
    with pytest.raises(tb.UsageError, match="exact takes no options, but not gradient"):
        build("exact", gradient="dreg")
    assert build("exact").kind == "exact"


def test_the_summary_says_that_it_is_exact():
    words = tb.evidence.exact(models.network(), models.binary_data(9)).summary()
    assert "(exact, n=9; " in words
    assert "\n  the sum over 16 latent values\n" in words
    assert "none from draws" in words


def test_what_cannot_be_enumerated_is_refused():
    x = models.binary_data(3)
    continuous = Model(StandardNormal(4), models.network().likelihood)
    large = Model(BernoulliPrior(jnp.zeros(17)), models.network().likelihood)
    for model, words in (
        (continuous, "got StandardNormal.*evaluate"),
        (large, "got 131072"),
    ):
        with pytest.raises(tb.UsageError, match=words):
            tb.evidence.exact(model, x)
        with pytest.raises(tb.UsageError, match=words):
            tb.fit(model, None, x, objective=exact(), batch_size=1)
    with pytest.raises(tb.UsageError, match="expected 6 columns, .* got 5"):
        tb.evidence.exact(models.network(), x[:, :5])
    with pytest.raises(tb.UsageError, match="batch_size >= 1, got 0"):
        tb.evidence.exact(models.network(), x, batch_size=0)
    words = "needs draws and the density of the posterior.* NoneType offers nothing.* exact"
    with pytest.raises(tb.UsageError, match=words):
        tb.fit(models.network(), None, x, objective=tb.objectives.elbo(), batch_size=1)
