"""Implicit posteriors of images, and classifiers, denoisers and restorations that see images."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tightbound as tb
from tightbound.core.items import Datum
from tightbound.distributions.restoration import BlockMeans
from tightbound.models import restoration
from tightbound.networks import MLP, ConvolutionalEncoder, ConvolutionalMap, Images, OnPart
from tightbound.objectives import Params, amortized_map, jc_den, pc_adv
from tightbound.objectives.implicit.terms import Ratio, Sizes
from tightbound.objectives.registry import parse

KEY = jax.random.key(0)
SHAPE = (4, 4)


def images(n=16, shape=SHAPE):
    return (np.random.default_rng(0).random((n, *shape)) < 0.4).astype(np.float32)


def parts(kind="implicit", **options):
    return tb.autoencoder(images(), latent=2, network="conv", posterior=kind, **options)


def test_a_part_of_the_input_becomes_features():
    network = MLP.glorot(1 + 3 + 2, (5,), key=KEY)
    on_part = OnPart(network, lambda x: jnp.stack([x.sum(), x[0], x[-1]]), 1, 5)
    x = jnp.arange(7.0)
    expected = network(jnp.array([0.0, 10.0, 1.0, 4.0, 5.0, 6.0]))
    np.testing.assert_allclose(on_part(x), expected, rtol=1e-6)


def test_features_see_mask_and_condition_of_their_part_alone():
    seen = []

    class Look(tb.networks.AbstractReader):
        def __call__(self, given):
            seen.append(given)
            return given.x

    known = jnp.array([True, True, False])
    OnPart(lambda h: h, Look(), 1, 3)(Datum(jnp.arange(3.0), known, jnp.ones(2)))
    (given,) = seen
    np.testing.assert_array_equal(given.x, [1, 2])
    np.testing.assert_array_equal(given.observed, [True, False])
    np.testing.assert_array_equal(given.condition, [1, 1])


@pytest.mark.parametrize("kind", ["implicit", "semi_implicit"])
def test_draws_depend_on_the_image_through_convolutions(kind):
    _, q = parts(kind)
    convolutions = [n for n in jax.tree.leaves(q, is_leaf=_is_encoder) if _is_encoder(n)]
    assert len(convolutions) == 1
    x = jnp.asarray(images().reshape(16, -1))
    z = jax.vmap(lambda x: q.sample(x, key=KEY))(x)
    assert z.shape == (16, 2)
    assert np.std(z, axis=0).min() > 1e-3


def _is_encoder(node):
    return isinstance(node, ConvolutionalEncoder)


def test_of_several_layers_there_are_none():
    with pytest.raises(tb.UsageError, match="has one layer: expected layers=1, got 2"):
        parts(layers=2)


def test_an_encoder_of_your_own():
    encoder = lambda x: x[:3] ** 2  # noqa: E731
    model, _ = tb.autoencoder(images().reshape(16, -1), latent=2, hidden=(8,))
    x = jnp.asarray(images().reshape(16, -1)[0])
    other = x.at[3:].set(1 - x[3:])
    for kind in tb.models.posteriors.KINDS:
        q = tb.posterior(model, kind, encoder=encoder, hidden=(8,), components=2)
        a, b = (q.sample(given, key=KEY) for given in (x, other))
        np.testing.assert_array_equal(a, b)
        if kind != "flow":  # which begins as N(0, I)
            assert not np.array_equal(a, q.sample(1 - x, key=KEY))
    with pytest.raises(tb.UsageError, match="expected an encoder to features"):
        tb.posterior(model, "implicit", encoder=tb.networks.Whole(encoder))
    with pytest.raises(tb.UsageError, match="to a vector of features, got an output of shape"):
        tb.posterior(model, "implicit", encoder=lambda x: x[0])


def test_a_flow_of_features_has_a_density():
    model, _ = tb.autoencoder(images().reshape(16, -1), latent=2, hidden=(8,))
    q = tb.posterior(model, "flow", encoder=lambda x: x[:3])
    x = jnp.asarray(images().reshape(16, -1)[0])
    z, log_q = q.sample_and_log_prob(x, key=KEY)
    np.testing.assert_allclose(log_q, q.log_prob(z, x), rtol=1e-5)


def test_classifiers_and_denoisers_see_images_as_the_posterior_does():
    built = Params(*parts())
    q = next(n for n in jax.tree.leaves(built.posterior, is_leaf=_is_encoder) if _is_encoder(n))
    # Of each denoiser of its own moments, and of those of q.
    for objective, networks in (
        (pc_adv(hidden=(4,)), 1),
        (pc_adv(contrast="adaptive"), 2),
        (jc_den(hidden=(4,)), 4),
    ):
        aux = objective._build(built, KEY)
        found = [n for n in jax.tree.leaves(aux, is_leaf=_is_encoder) if _is_encoder(n)]
        assert len(found) == networks
        for encoder in found:
            first, own = (e.layers[0][0].weight for e in (encoder, q))
            assert first.shape == own.shape
            assert not np.allclose(first, own)


@pytest.mark.slow
def test_a_convolutional_classifier_learns_the_log_ratio():
    # x is one of two images, whose places of ones differ and whose sums do not; z | x is
    # N(+-1, 1/4) against N(0, 1): the log-ratio is -2 (z -+ 1)^2 + z^2 / 2 + log 2.
    left = np.zeros(SHAPE, np.float32)
    left[:, :2] = 1
    pair = np.stack([left, 1 - left]).reshape(2, -1)
    rng = np.random.default_rng(1)
    which = rng.integers(0, 2, 4000)
    centre = np.array([1.0, -1.0])[which][:, None]
    z = (centre + 0.5 * rng.normal(size=(4000, 1))).astype(np.float32)
    other = rng.normal(size=(4000, 1)).astype(np.float32)
    x = jnp.asarray(pair[which])
    encoder = Images.of(SHAPE, (4,)).encoder(16, key=KEY)
    term = Ratio("q", "prior", -1.0, (32,), jnp.zeros([]))
    aux = term.build(Sizes(16, 1, encoder), jax.random.key(3))
    optimizer = optax.adam(1e-2)

    @eqx.filter_jit
    def descended(aux):
        arrays, static = eqx.partition(aux, eqx.is_inexact_array)

        def loss(arrays):
            logit = lambda z: term.logits(eqx.combine(arrays, static), x, jnp.asarray(z))  # noqa: E731
            return jnp.mean(jax.nn.softplus(-logit(z))) + jnp.mean(jax.nn.softplus(logit(other)))

        def step(carry, _):
            updates, state = optimizer.update(jax.grad(loss)(carry[0]), carry[1])
            return (optax.apply_updates(carry[0], updates), state), None

        with jax.numpy_dtype_promotion("standard"):
            first = arrays, jax.tree.map(jnp.asarray, optimizer.init(arrays))
            (arrays, _), _ = jax.lax.scan(step, first, length=150)
        return eqx.combine(arrays, static)

    aux = descended(aux)
    grid = jnp.tile(jnp.linspace(0.3, 1.7, 15)[:, None], (2, 1))
    sign = np.repeat([1.0, -1.0], 15)[:, None]
    seen = jnp.asarray(np.repeat(pair, 15, axis=0))
    at = grid * sign
    exact = -2 * (at - sign) ** 2 + at**2 / 2 + np.log(2)
    np.testing.assert_allclose(term.logits(aux, seen, at), exact[:, 0], atol=0.4)


def test_block_means_and_their_pseudo_inverse_are_those_of_a_matrix():
    degrade = BlockMeans((4, 6, 2), 2)
    matrix = np.asarray(jax.vmap(degrade)(jnp.eye(48))).T
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    assert set(np.unique(matrix)) == {0, 0.25}
    back = np.asarray(jax.vmap(degrade.back)(jnp.eye(12))).T
    np.testing.assert_allclose(back, np.linalg.pinv(matrix), atol=1e-6)
    first = np.arange(48.0).reshape(4, 6, 2)[:2, :2].mean(axis=(0, 1))
    np.testing.assert_allclose(degrade(jnp.arange(48.0))[:2], first)


@pytest.mark.parametrize("guide", ["denoiser", pytest.param("classifier", marks=pytest.mark.slow)])
def test_restored_images_have_the_means_that_were_seen(guide, tmp_path):
    clean = images(32)
    model, q = restoration(clean, factor=2, hidden=(4,))
    low = np.asarray(jax.vmap(model.likelihood.degrade)(jnp.asarray(clean.reshape(32, -1))))
    objective = amortized_map(guide, inner=1, hidden=(8,), noise=0.3)
    aux = objective._build(Params(model, q), KEY)
    kind = ConvolutionalEncoder if guide == "classifier" else ConvolutionalMap
    assert any(isinstance(n, kind) for n in jax.tree.leaves(aux, is_leaf=_is(kind)))
    run = tb.fit(model, q, low, objective=objective, epochs=1, batch_size=16, progress=False)
    restored = jax.vmap(lambda x: run.posterior.sample(x, key=KEY))(jnp.asarray(low))
    assert restored.shape == (32, 16)
    np.testing.assert_allclose(jax.vmap(model.likelihood.degrade)(restored), low, atol=1e-5)
    tb.save(tmp_path / "run.safetensors", run)
    again = tb.load(tmp_path / "run.safetensors")
    np.testing.assert_array_equal(
        restored, jax.vmap(lambda x: again.posterior.sample(x, key=KEY))(jnp.asarray(low))
    )
    for a, b in zip(
        jax.tree.leaves(run.objective_states[0].aux),
        jax.tree.leaves(again.objective_states[0].aux),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert parse(again.objective).description == objective.description


def _is(kind):
    return lambda node: isinstance(node, kind)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "expected one of matrix= and factor="),
        ({"factor": 2, "matrix": np.ones((1, 16))}, "expected one of matrix= and factor="),
        ({"factor": 3}, "expected a factor of 2, 4, 8, ... that divides both sides, 4 and 4"),
        ({"factor": 8}, "expected a factor of 2, 4, 8, ... that divides both sides, 4 and 4"),
        ({"factor": 2, "hidden": (4, 4)}, "expected hidden of 1 entries for factor=2"),
    ],
)
def test_a_restoration_of_other_images_is_refused(options, words):
    with pytest.raises(tb.UsageError, match=words):
        restoration(images(), **options)
