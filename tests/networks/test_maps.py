"""Ladders whose layers are maps: what is given to which network, and that all is a model.

False alarms: estimates are compared at 4.9 of their standard errors (below 1e-6 each).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.moved import moved
from tests.networks.test_convolutional import blobs
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Datum
from tightbound.networks import Maps

KEY = jax.random.key(0)
X = blobs(40)


def ladder(x: Any = X, layers: Any = 2, **options: Any):
    options = {"latent": 2, "hidden": (4, 3, 5)[:layers], **options}
    return tb.autoencoder(x, network="ladder", layers=layers, **options)


def test_layers_are_maps_that_halve():
    maps = Maps.of((9, 8), [2, 3, 1], (4, 3, 5), "silu")
    assert maps.sizes == [5 * 4 * 2, 3 * 2 * 3, 2 * 1 * 1]
    model, q = ladder(layers=3, latent=(2, 3, 1))
    z = q.sample(jnp.asarray(X[0]).ravel(), key=KEY)
    assert [layer.shape for layer in z] == [(40,), (18,), (2,)]
    x, z = model.sample(KEY)
    assert x.shape == (72,)
    assert [layer.shape for layer in z] == [(40,), (18,), (2,)]


def test_posterior_and_prior_begin_as_one_law():
    model, q = ladder(layers=3)
    x = jnp.asarray(X[0]).ravel()
    z = q.sample(x, key=KEY)
    np.testing.assert_allclose(q.log_prob(z, x), model.prior.log_prob(z, None), rtol=1e-6)


@pytest.mark.slow
def test_a_latent_speaks_of_its_own_place():
    model, _ = moved(ladder(blobs(4, (24, 8))))
    of_first = lambda h: model.likelihood.mean((jnp.zeros(96).at[0].set(h), None))  # noqa: E731
    change = jax.jacobian(of_first)(0.0).reshape(24, 8)
    # Four convolutions reach four positions on, which are eight pixels.
    assert np.all(np.any(change[:10] != 0, axis=1))
    assert not np.any(change[10:])


def test_the_layer_below_sees_features_and_the_layer_above():
    _, q = moved(ladder(layers=3))
    x = jnp.asarray(X[0]).ravel()
    z = q.sample(x, key=KEY)
    other = q.sample(jnp.asarray(X[1]).ravel(), key=KEY)
    log_q = q.log_prob_by_layer(z, x)
    assert len(log_q) == 3
    above = q.log_prob_by_layer((z[0], other[1], z[2]), x)
    assert log_q[2] == above[2]
    assert log_q[0] != above[0]
    elsewhere = q.log_prob_by_layer(z, jnp.asarray(X[1]).ravel())
    assert all(a != b for a, b in zip(log_q, elsewhere, strict=True))
    # The top layer is given nothing above.
    assert q.log_prob_by_layer((z[0], z[1], z[2]), x)[2] == q.top.log_prob(z[2], x)


def test_parameters_of_a_position_stand_together():
    _, q = moved(ladder())
    x = jnp.asarray(X[0]).ravel()
    features = q.up[1](q.up[0](x))
    network = q.conditionals[1].trunk.network
    out = network(features)
    maps = network.last(jax.nn.silu(network.block(features.reshape(network.shape))))
    mean, scale = q.conditionals[1].parameters(features)
    np.testing.assert_allclose(mean, maps[..., :2].ravel(), rtol=1e-6)
    np.testing.assert_allclose(scale, jnp.exp(maps[..., 2:].ravel()), rtol=1e-6)
    assert out.size == mean.size + scale.size


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["mixture(components=3)", "vamp(components=3)"])
def test_it_takes_priors_colours_holes_and_conditions(prior):
    colour = np.stack([X, X[::-1], 1 - X], axis=-1)
    holes = np.where(np.random.default_rng(0).random(colour.shape) < 0.2, np.nan, colour)
    model, q = moved(ladder(holes, likelihood="gaussian", prior=prior), 0.05)
    known = np.isfinite(holes[0]).ravel()
    x = Datum(jnp.asarray(np.nan_to_num(holes[0]).ravel()), jnp.asarray(known))
    z = q.sample(x, key=KEY)
    assert np.isfinite(model.log_joint(x, z))
    unseen = Datum(x.x, jnp.ones_like(known))
    assert q.log_prob(z, x) != q.log_prob(z, unseen)
    if prior.startswith("mixture"):
        model, q = moved(ladder(holes, likelihood="gaussian", condition=2), 0.05)
        given = Datum(x.x, x.observed, jnp.array([0.3, -1.0]))
        other = Datum(x.x, x.observed, jnp.array([0.3, 1.0]))
        assert q.log_prob(z, given) != q.log_prob(z, other)
        assert model.log_likelihood(given, z) != model.log_likelihood(other, z)


@pytest.mark.slow
def test_a_fit_gains_comes_back_and_agrees_with_annealing(tmp_path):
    x = X.reshape(40, -1)
    run = tb.fit(
        *ladder(), x, objective="iwae(k=4)", optimizer="adam(learning_rate=0.01)",
        epochs=30, seeds=2, batch_size=20, binarize="fixed",
    )  # fmt: skip
    assert np.mean(run.history[-1].train_bound) > np.mean(run.history[0].train_bound) + 1
    one, two = (of.model.likelihood.conditional.trunk.network.start for of in run.replicas)
    assert not np.allclose(one.convolution.weight, two.convolution.weight)
    tb.save(tmp_path / "m.safetensors", run)
    back = tb.load(tmp_path / "m.safetensors")
    few = x[:2].round()
    found, before = (tb.evaluate(*of[:2], few, k=4000) for of in (back, run))
    assert np.array_equal(found.log_evidence, before.log_evidence)
    by = tb.evidence.annealed(back.model, few, start=back.posterior, temperatures=15, chains=8)
    z = (by.log_evidence - found.log_evidence) / np.hypot(np.maximum(by.stderr, 0.05), found.stderr)
    assert np.abs(z).max() < LIMIT


def test_what_does_not_fit_is_refused():
    for options, words in (
        ({"layers": 1}, "expected layers >= 2"),
        ({"inference": "bottom_up"}, "expected layers >= 2, inference='top_down'"),
        ({"hidden": (4,)}, "expected 2 entries of hidden for layers=2"),
        ({"hidden": ((4,), (4,))}, "one number of channels for each layer"),
        ({"layers": 3, "latent": (2, 2)}, "expected 3 entries of latent"),
        ({"posterior": "implicit"}, "expected layers=1"),
        ({"x": np.zeros((5, 9), np.float32)}, "is for images"),
        ({"layers": 4, "hidden": (2,) * 4}, "sides of 16 pixels or more"),
    ):
        with pytest.raises(UsageError, match=words):
            ladder(**options)


@pytest.mark.slow
def test_wide_layers_are_judged_without_covariances():
    x = blobs(8, (32, 32))
    model, q = ladder(x, latent=(3, 2), hidden=(3, 3))
    few = x[:2].reshape(2, -1).round()
    assert tb.evaluate(model, q, few).recommended is None
    with pytest.raises(UsageError, match="up to 512 numbers, and this model has 896"):
        tb.evaluate(model, None, few)
    wide, narrow = tb.diagnostics.active_units(model, q, x.reshape(8, -1), draws=5)
    assert wide.variance.shape == (768,)
    assert narrow.spectrum.shape == (128,)
