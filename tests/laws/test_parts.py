"""Laws for the parts of a model: likelihoods, networks, and named data sets."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.cases import LIKELIHOODS, NETWORKS, SOURCES
from tests.cases import UNIFORM_TABLE as UNIFORM
from tests.training.test_saving import run_of
from tests.ztest import LIMIT, z_of_mean
from tightbound import data, likelihoods
from tightbound.data import check_values
from tightbound.distributions import AbstractExplicit
from tightbound.networks import Whole
from tightbound.objectives import Params


@functools.cache
def of_likelihood(name) -> Params:
    x = LIKELIHOODS[name](UNIFORM)
    return Params(*tb.autoencoder(x, latent=2, hidden=(3,), likelihood=name, key=1))


def values(x):
    return x.train if isinstance(x, data.Dataset) else x


def is_around(draws, centre, kind):
    """z of draws of one column against what a likelihood calls their mean."""
    if kind == "median":
        return z_of_mean((draws > centre) - 0.5)
    if kind == "geometric mean":
        return z_of_mean(np.log(draws) - np.log(centre))
    if kind == "mode":
        counts = np.bincount(draws.astype(int), minlength=int(centre) + 1)
        # No other level is more frequent, by more than 5 standard errors.
        return (counts.max() - counts[int(centre)]) / np.sqrt(2 * counts.max())
    return z_of_mean(draws - centre)


def same_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_part_has_a_case():
    assert set(likelihoods.likelihoods()) == {case.partition("(")[0] for case in LIKELIHOODS}
    assert {entry.name for entry in data.names()} == set(SOURCES)


# The mean of 2,000 draws in each of 36 columns: false alarms 3.5e-5 for each likelihood.
@pytest.mark.stat
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_of_a_likelihood_lie_in_its_support_around_its_mean(name):
    likelihood = of_likelihood(name).model.likelihood
    z = jnp.asarray([0.4, -0.7])
    keys = jax.random.split(jax.random.key(2), 2000)
    draws = np.asarray(jax.vmap(lambda key: likelihood.sample(z, key=key))(keys))
    if name != "gaussian_unit_mean":  # whose means alone lie in its support
        check_values(draws, likelihood.support, name)
    mean = np.asarray(likelihood.mean(z))
    kinds = getattr(likelihood, "centres", ("mean",) * len(mean))
    z = [is_around(*column) for column in zip(draws.T, mean, kinds, strict=True)]
    assert np.abs(z).max() < LIMIT
    check_values(values(LIKELIHOODS[name](UNIFORM)), likelihood.support, name)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_model_with_a_likelihood_comes_back(name, tmp_path):
    run = run_of(of_likelihood(name), 2)
    tb.save(tmp_path / "run.safetensors", run)
    same_bits(tb.load(tmp_path / "run.safetensors").replicas, run.replicas)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_with_a_network_starts_differently_by_key_and_comes_back(name, tmp_path):
    one, two = (
        Params(*tb.autoencoder(np.round(UNIFORM), latent=2, decoder=NETWORKS[name](key)))
        for key in jax.random.split(jax.random.key(3))
    )
    trunks = [parts.model.likelihood.trunk for parts in (one, two)]
    for a, b in zip(*map(jax.tree.leaves, trunks), strict=True):
        # Biases may start at zero, and so do blocks that begin as the identity.
        assert a.ndim == 1 or not np.any(a) or not np.array_equal(a, b)
    run = run_of(one, 1)
    tb.save(tmp_path / "run.safetensors", run)
    loaded = tb.load(tmp_path / "run.safetensors")
    same_bits(loaded.replicas, run.replicas)
    features = loaded.model.likelihood.trunk(jnp.asarray([0.3, -1.0]))
    assert features.shape == ((36,) if isinstance(trunks[0], Whole) else (6,))


@pytest.mark.parametrize("name", SOURCES)
def test_a_named_data_set_offers_its_splits(name):
    (entry,) = (entry for entry in data.names() if entry.name == name)
    assert entry.description
    assert entry.splits
    if entry.where == "embedded":
        dataset = data.load(name, split=entry.splits[-1])
        assert dataset.name == name
        assert dataset.train.shape[1] == np.prod(dataset.shape)


class Bare(AbstractExplicit):
    """A unit normal around the latents: what fitting and evaluating need, and no more."""

    @property
    def support(self):
        return "real"

    def log_prob(self, value, given):
        return jnp.sum(jax.scipy.stats.norm.logpdf(value, given))


class Meant(Bare):
    def mean(self, given):
        return given


class Shy(Meant):
    def sample(self, given, *, key):
        raise NotImplementedError


def test_a_likelihood_without_draws_is_fitted_and_evaluated():
    x = UNIFORM[:6, :2]
    model, posterior = tb.autoencoder(x, latent=2, hidden=(3,), likelihood="gaussian")
    bare, meant, shy = (tb.Model(model.prior, kind()) for kind in (Bare, Meant, Shy))
    sizes = {"objective": "elbo()", "batch_size": 6, "epochs": 1}
    found = []
    for these in (meant, shy):
        run = tb.fit(these, posterior, x, **sizes)
        found.append(tb.evaluate(run.model, run.posterior, x, k=3, key=0).mean)
    assert np.isfinite(found[0])
    assert found[0] == found[1]
    assert ["samples" in m.likelihood.offers for m in (bare, meant, shy)] == [False, False, True]
    for these, likelihood in ((bare, "Bare"), (meant, "Meant"), (shy, "Shy")):
        with pytest.raises(tb.UsageError, match=f"{likelihood} has (none|no draws)"):
            these.sample(jax.random.key(0))
    with pytest.raises(tb.UsageError, match="Bare has no mean: define mean"):
        bare.likelihood.mean(x[0])
    with pytest.raises(tb.UsageError, match=r"draws or mean tell how many .* of Bare"):
        tb.fit(bare, posterior, x, **sizes)
    with pytest.raises(tb.UsageError, match="expected 2 columns, as many as the model has, got 1"):
        tb.fit(meant, posterior, x[:, :1], **sizes)
    with pytest.raises(tb.UsageError, match="wake_sleep.* needs draws of the likelihood"):
        tb.fit(meant, posterior, x, **sizes | {"objective": "wake_sleep()"})
