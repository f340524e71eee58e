"""Laws for the parts of a model: likelihoods, networks, and named data sets."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.cases import LIKELIHOODS, NETWORKS, SOURCES
from tests.training.test_saving import run_of
from tests.ztest import LIMIT, z_of_mean
from tightbound import data, distributions
from tightbound.data import check_values
from tightbound.networks import Whole
from tightbound.objectives import Parts

UNIFORM = np.random.default_rng(0).random((40, 36)).astype(np.float32)


@functools.cache
def of_likelihood(name) -> Parts:
    x = LIKELIHOODS[name](UNIFORM)
    return Parts(*tb.autoencoder(x, latent=2, hidden=(3,), likelihood=name, key=1))


def same_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_part_has_a_case():
    assert set(distributions.likelihoods()) == set(LIKELIHOODS)
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
    assert np.abs(z_of_mean(draws - mean)).max() < LIMIT
    check_values(LIKELIHOODS[name](UNIFORM), likelihood.support, name)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_model_with_a_likelihood_comes_back(name, tmp_path):
    run = run_of(of_likelihood(name), 2)
    tb.save(tmp_path / "run.safetensors", run)
    same_bits(tb.load(tmp_path / "run.safetensors").replicas, run.replicas)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_with_a_network_starts_differently_by_key_and_comes_back(name, tmp_path):
    one, two = (
        Parts(*tb.autoencoder(np.round(UNIFORM), latent=2, decoder=NETWORKS[name](key)))
        for key in jax.random.split(jax.random.key(3))
    )
    trunks = [parts.model.likelihood.trunk for parts in (one, two)]
    for a, b in zip(*map(jax.tree.leaves, trunks), strict=True):
        assert a.ndim == 1 or not np.array_equal(a, b)  # biases may start at zero
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
