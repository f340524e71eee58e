"""Training without a posterior: by gradient of log p(x) itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.models.finite import models

import tightbound as tb
from tightbound.distributions import Bernoulli, BernoulliPrior, Categorical
from tightbound.models import bernoulli_mixture, finite_autoencoder, gaussian_mixture
from tightbound.networks import MLP, Dense

X = models.binary_data(40)


def fit(model, posterior=None, x=X, **options):
    options = {"batch_size": 10, "epochs": 3, "optimizer": optax.adam(1e-2), **options}
    return tb.fit(model, posterior, x, objective=tb.objectives.exact(), **options)


def same_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_networks_are_trained_without_a_posterior(family):
    model = finite_autoencoder(X, latent=4, family=family, hidden=(5,))
    run = fit(model, epochs=10, validation=X, seeds=2, average=0.9, early_stopping=5)
    assert run.posterior is None
    assert run.objective == "exact()"
    before = tb.evidence.exact(model, X).mean
    for parts in run.replicas:
        assert tb.evidence.exact(parts.model, X).mean > before + 0.01
    best = max(bounds[0] for bounds in run.history.validation_bound)
    assert tb.evidence.exact(run.model, X).mean == pytest.approx(best, abs=1e-4)


@pytest.mark.slow
def test_a_posterior_is_ignored_and_comes_back_as_it_was():
    model = finite_autoencoder(X, latent=4, hidden=(5,))
    posterior = Bernoulli(MLP((), "tanh"), Dense.glorot(6, 4, key=jax.random.key(1)))
    run, without = fit(model, posterior), fit(model)
    same_bits(run.model, without.model)
    same_bits(run.posterior, posterior)


MIXTURES = {
    "gaussians": lambda: (gaussian_mixture(models.gaussian_data(40), components=3), (40, 2)),
    "pixels": lambda: (bernoulli_mixture(X, components=3), (40, 6)),
    "units": lambda: (finite_autoencoder(X, latent=3, hidden=(4,)), (40, 6)),
    "categories": lambda: (
        finite_autoencoder(X, latent=3, family="categorical", hidden=()),
        (40, 6),
    ),
}


RESUMED = [
    name if name == "gaussians" else pytest.param(name, marks=pytest.mark.slow) for name in MIXTURES
]


@pytest.mark.parametrize("name", RESUMED)
def test_runs_are_saved_loaded_and_resumed_to_the_same_bits(name, tmp_path):
    model, (n, width) = MIXTURES[name]()
    x = models.gaussian_data(n) if width == 2 else X
    whole = fit(model, x=x, epochs=2)
    fit(model, x=x, epochs=1, directory=tmp_path)
    resumed = fit(model, x=x, epochs=2, directory=tmp_path, resume=True)
    same_bits(resumed.model, whole.model)
    tb.save(tmp_path / "run.safetensors", whole)
    loaded = tb.load(tmp_path / "run.safetensors")
    assert loaded.posterior is None
    same_bits(loaded.model, whole.model)


def test_mixtures_start_at_the_data():
    x = models.gaussian_data(200)
    model = gaussian_mixture(x, components=3, key=0)
    rows = {tuple(row) for row in x}
    chosen = np.asarray(model.likelihood.means)
    assert {tuple(row) for row in chosen} <= rows
    covariance = np.cov(x.T, ddof=0)
    np.testing.assert_allclose(model.likelihood.covariances()[1], covariance, rtol=1e-4)
    np.testing.assert_allclose(model.prior.mean(), np.full(3, 1 / 3), rtol=1e-6)
    other = gaussian_mixture(x, components=3, key=1)
    assert not np.array_equal(chosen, other.likelihood.means)


def test_first_means_are_far_apart():
    # Five points far apart, each many times: no point is taken twice.
    corners = np.array([[0, 0], [9, 0], [0, 9], [9, 9], [50, 50]], np.float32)
    x = np.repeat(corners, 20, axis=0)
    for key in range(5):
        means = gaussian_mixture(x, components=5, key=key).likelihood.means
        np.testing.assert_array_equal(np.unique(means, axis=0), np.unique(corners, axis=0))
    assert gaussian_mixture(x, components=7).likelihood.means.shape == (7, 2)


@pytest.mark.slow
def test_columns_without_spread_do_no_harm():
    x = np.column_stack([models.gaussian_data(50), np.ones(50, np.float32)])
    model = gaussian_mixture(x, components=2)
    assert np.isfinite(tb.evidence.exact(model, x).log_evidence).all()
    run = tb.em(model, x, iterations=5)
    assert (np.diff(run.log_likelihood) > -1e-5).all()


def test_the_first_network_gives_the_mean_of_the_data():
    model = finite_autoencoder(X, latent=3, hidden=())
    flat = Bernoulli(MLP((), "tanh"), model.likelihood.logits)
    np.testing.assert_allclose(flat.mean(jnp.zeros(3)), X.mean(axis=0), rtol=1e-4)
    assert isinstance(model.prior, BernoulliPrior)
    assert isinstance(finite_autoencoder(X, family="categorical").prior, Categorical)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gaussian_mixture(X, components=41), "components between 1 and 40"),
        (lambda: gaussian_mixture(X, components=0), "components between 1 and 40"),
        (lambda: gaussian_mixture(np.ones((3, 2), np.float32), components=1), "some spread"),
        (lambda: bernoulli_mixture(X + 1, components=2), "row 0, column"),
        (lambda: finite_autoencoder(X, family="normal"), "family out of bernoulli, categorical"),
        (lambda: finite_autoencoder(X, latent=17), "at most 65536 latent values"),
        (lambda: finite_autoencoder(X, latent=0), "sizes >= 1, got latent=0"),
        (lambda: finite_autoencoder(X, hidden=(0,)), "sizes >= 1"),
    ],
)
def test_wrong_use_is_refused_in_words(make, words):
    with pytest.raises(tb.UsageError, match=words):
        make()
