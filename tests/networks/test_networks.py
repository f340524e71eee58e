"""Networks and the autoencoders built of them: sizes, initial values, densities by hand, errors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from tests import once

from tightbound.core.errors import UsageError
from tightbound.models import autoencoder
from tightbound.models.weights import log_joint, log_q, log_weights, sample, split_each
from tightbound.networks import ACTIVATIONS, MLP, Dense
from tightbound.objectives import Params, iwae
from tightbound.training.state import reinitialised

BINARY = (np.random.default_rng(0).random((20, 6)) < 0.4).astype(np.float32)
REAL = np.random.default_rng(1).standard_normal((20, 6)).astype(np.float32)
UNIT = np.random.default_rng(2).random((20, 6)).astype(np.float32)
ARRAYS = (jax.Array, jax.ShapeDtypeStruct)


def f64(array):
    return np.asarray(array, np.float64)


def through(dense, value):
    """An affine map by hand, in float64."""
    return value @ f64(dense.weight) + f64(dense.bias)


def hidden(conditional, given):
    """The deterministic units by hand, in float64."""
    for layer in conditional.trunk.layers:
        given = np.tanh(through(layer, given))
    return given


def normal(conditional, given) -> Any:
    h = hidden(conditional, given)
    scale = np.exp(through(conditional.log_scale, h))
    return stats.norm(through(conditional.location, h), scale)


def weights(tree):
    """All weight matrices' shapes, in order of the tree."""
    denses = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, Dense))
    return [dense.weight.shape for dense in denses if isinstance(dense, Dense)]


def parameters(*trees):
    arrays = [leaf for leaf in jax.tree.leaves(trees) if isinstance(leaf, ARRAYS)]
    return sum(array.size for array in arrays if jnp.issubdtype(array.dtype, jnp.inexact))


def shapes(d, **options) -> Any:
    """A model and posterior for items of size d: shapes of their arrays, without the numbers."""
    return eqx.filter_eval_shape(lambda: autoencoder(np.zeros((2, d), np.float32), **options))


def built(x, **options) -> Any:
    """A small model and its posterior."""
    return autoencoder(x, **{"latent": 2, "hidden": (3,), **options})


# 784-200-200-50 and back: counted by hand from section 5.1 of Burda et al.
def test_the_one_layer_network_of_iwae():
    model, posterior = shapes(784)
    encoder = 784 * 200 + 200 + 200 * 200 + 200 + 2 * (200 * 50 + 50)
    decoder = 50 * 200 + 200 + 200 * 200 + 200 + 200 * 784 + 784
    assert parameters(posterior) == encoder
    assert parameters(model) == decoder
    assert parameters(model, posterior) == 425_284
    assert weights(posterior) == [(784, 200), (200, 200), (200, 50), (200, 50)]
    assert weights(model) == [(50, 200), (200, 200), (200, 784)]


def test_the_two_layer_network_of_iwae():
    model, posterior = shapes(784, layers=2)
    bottom, top = posterior.conditionals
    assert weights(bottom) == [(784, 200), (200, 200), (200, 100), (200, 100)]
    assert weights(top) == [(100, 100), (100, 100), (100, 50), (100, 50)]
    first, second = model.prior.conditionals
    assert first.dim == 50
    assert weights(second) == [(50, 100), (100, 100), (100, 100), (100, 100)]
    assert weights(model.likelihood) == [(100, 200), (200, 200), (200, 784)]


def test_simulated_data_have_the_moments_of_the_model():
    model, _ = built(REAL, layers=2, likelihood="gaussian", key=2)
    x, (h1, h2) = jax.jit(jax.vmap(model.sample))(jax.random.split(jax.random.key(0), 2**14))
    assert (x.shape, h1.shape, h2.shape) == ((2**14, 6), (2**14, 4), (2**14, 2))
    above = (np.zeros((1, 0)), f64(h2), f64(h1))
    units, visible = model.likelihood.standardization, model.likelihood.likelihood.conditional
    x = (f64(x) - f64(units.shift.values)) / f64(units.scale.values)
    below = (None, model.prior.conditionals[1], visible)
    # Each layer standardised by the one above is standard normal: 12 units at p < 1e-7 each.
    for value, conditional, given in zip((h2, h1, x), below, above, strict=True):
        truth = stats.norm() if conditional is None else normal(conditional, given)
        uniform = truth.cdf(f64(value))
        assert all(stats.kstest(unit, stats.uniform.cdf).pvalue > 1e-7 for unit in uniform.T)


def test_sizes_can_be_given_for_each_layer():
    model, posterior = shapes(9, layers=3, latent=(5, 4, 2), hidden=((8,), (), (6, 7)))
    assert [weights(q) for q in posterior.conditionals] == [
        [(9, 8), (8, 5), (8, 5)],
        [(5, 4), (5, 4)],
        [(4, 6), (6, 7), (7, 2), (7, 2)],
    ]
    assert [weights(p) for p in model.prior.conditionals[1:]] == [
        [(2, 7), (7, 6), (6, 4), (6, 4)],
        [(4, 5), (4, 5)],
    ]
    assert weights(model.likelihood) == [(5, 8), (8, 9)]


def test_weights_are_uniform_within_the_glorot_limit_and_biases_zero():
    model, posterior = built(UNIT, latent=20, hidden=(40, 30), likelihood="gaussian")
    visible = model.likelihood.likelihood
    denses = [*posterior.trunk.network.layers, posterior.location, posterior.log_scale]
    denses += [*visible.trunk.layers, visible.location]
    seen = []
    for dense in denses:
        limit = np.sqrt(6 / sum(dense.weight.shape))
        scaled = f64(dense.weight).ravel() / limit
        assert np.abs(scaled).max() < 1
        # False alarms: p < 1e-6 for each of 7 fixed keys.
        assert stats.kstest(scaled, stats.uniform(-1, 2).cdf).pvalue > 1e-6
        assert not np.any(dense.bias)
        seen.append(scaled[:20])
    assert len(np.unique(np.concatenate(seen))) == 20 * len(denses)


def test_keys_decide_the_initial_weights():
    one, same, other = (built(BINARY, key=key) for key in (1, 1, 2))
    typed = built(BINARY, key=jax.random.key(1))
    assert eqx.tree_equal(one, same)
    assert eqx.tree_equal(one, typed)
    assert not eqx.tree_equal(one, other)


def test_the_output_bias_is_the_logit_of_the_clipped_mean():
    x = BINARY.copy()
    x[:, 0], x[:, 1] = 0.0, 1.0
    model, _ = built(x)
    mean = np.clip(x.mean(axis=0, dtype=np.float64), 0.001, 0.999)
    np.testing.assert_allclose(model.likelihood.logits.bias, special.logit(mean), rtol=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "gaussian_unit_mean"])
def test_log_joint_and_log_q_are_sums_of_scipy_densities(layers, likelihood):
    table = {"bernoulli": BINARY, "gaussian": REAL, "gaussian_unit_mean": UNIT}[likelihood]
    model, posterior = built(table, hidden=(5, 4), layers=layers, likelihood=likelihood, key=3)
    x, visible, log_scale = table[0], model.likelihood, 0.0

    @jax.jit
    def all_of_them(x):
        z, log_q_z = posterior.sample_and_log_prob(x, key=jax.random.key(5))
        return z, log_q_z, posterior.log_prob(z, x), model.log_joint(x, z)

    z, log_q_z, log_q_again, log_p = all_of_them(jnp.asarray(x))
    latents = [f64(layer) for layer in (z if layers == 2 else (z,))]

    seen, q = f64(x), posterior.conditionals if layers == 2 else (posterior,)
    if likelihood == "gaussian":
        shift, scale = f64(table).mean(axis=0), f64(table).std(axis=0)
        seen, log_scale = (seen - shift) / scale, np.log(scale).sum()
        visible = visible.likelihood
        network = q[0].trunk.network
        q = (eqx.tree_at(lambda q: q.trunk, q[0], network), *q[1:])
    truth = sum(
        normal(conditional, given).logpdf(value).sum()
        for conditional, given, value in zip(q, (seen, *latents[:-1]), latents, strict=True)
    )
    np.testing.assert_allclose(log_q_z, truth, rtol=1e-5)
    np.testing.assert_allclose(log_q_again, truth, rtol=1e-5)

    truth = stats.norm.logpdf(latents[-1]).sum() - log_scale
    if layers == 2:
        truth += normal(model.prior.conditionals[1], latents[1]).logpdf(latents[0]).sum()
        visible = visible.conditional
    if likelihood == "bernoulli":
        logits = through(visible.logits, hidden(visible, latents[0]))
        truth += stats.bernoulli.logpmf(seen, special.expit(logits)).sum()
    else:
        head = normal(visible, latents[0])
        mean = special.expit(head.mean()) if likelihood == "gaussian_unit_mean" else head.mean()
        truth += stats.norm.logpdf(seen, mean, head.std()).sum()
    np.testing.assert_allclose(log_p, truth, rtol=1e-5)
    assert model.likelihood.support == {"bernoulli": "binary", "gaussian": "real"}.get(
        likelihood, "unit"
    )


def test_unit_means_of_a_model_lie_inside_zero_and_one():
    model, _ = built(UNIT, likelihood="gaussian_unit_mean")
    z = 3 * jax.random.normal(jax.random.key(0), (200, 2))
    means = jax.vmap(model.likelihood.mean)(z)
    assert np.all((means > 0) & (means < 1))


def test_weights_of_many_data_and_draws_are_those_of_each():
    model, posterior = built(BINARY, layers=2)
    x, keys = jnp.asarray(BINARY[:3]), split_each(jax.random.split(jax.random.key(1), 3), 4)

    @jax.jit
    def all_of_them(x, keys):
        z, log_q_z = sample(posterior, x, keys)
        alone, log_q_alone = posterior.sample_and_log_prob(x[2], key=keys[2, 1])
        log_w_alone = model.log_joint(x[2], alone) - log_q_alone
        log_w = log_weights(model, posterior, x, keys)
        return z, log_q_z, log_q(posterior, x, z), log_joint(model, x, z), log_w, alone, log_w_alone

    z, log_q_z, log_q_again, log_p, log_w, alone, log_w_alone = all_of_them(x, keys)
    assert [layer.shape for layer in z] == [(3, 4, 4), (3, 4, 2)]
    np.testing.assert_allclose(log_q_again, log_q_z, rtol=1e-5)
    np.testing.assert_allclose(log_w, log_p - log_q_z, rtol=1e-5)
    for layer, one in zip(z, alone, strict=True):
        np.testing.assert_allclose(layer[2, 1], one, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_w[2, 1], log_w_alone, rtol=1e-5)


def test_the_first_draws_stay_when_there_are_more():
    keys = jax.random.split(jax.random.key(1), 3)
    few, many = split_each(keys, 2), split_each(keys, 7)
    assert many.shape == (3, 7)
    assert np.array_equal(jax.random.key_data(many[:, :2]), jax.random.key_data(few))
    assert len(np.unique(jax.random.key_data(many).reshape(21, -1), axis=0)) == 21


class Own(eqx.Module):
    """A network of somebody else's: a matrix, and a buffer of whole numbers."""

    matrix: jax.Array
    order: jax.Array

    def __call__(self, x):
        return jnp.sin(x[self.order] @ self.matrix)


def test_your_own_networks_take_the_place_of_the_deterministic_layers():
    encoder = Own(jnp.full((6, 4), 0.1), jnp.arange(6)[::-1])
    model, posterior = built(BINARY, encoder=encoder, decoder=lambda h: jnp.append(h, h[0] * h[1]))
    x = BINARY[0]
    features = np.sin(f64(x)[::-1] @ np.full((6, 4), 0.1))
    np.testing.assert_allclose(
        posterior.mean(jnp.asarray(x)), through(posterior.location, features), rtol=1e-5
    )
    logits = through(model.likelihood.logits, np.array([0.5, -2.0, -1.0]))
    np.testing.assert_allclose(
        model.likelihood.mean(jnp.asarray([0.5, -2.0])), special.expit(logits), rtol=1e-5
    )
    keys = jax.random.split(jax.random.key(0), 3)
    step = once.compiled(iwae(4, "dreg"))(Params(model, posterior), jnp.asarray(BINARY[:3]), keys)
    assert np.any(step.grads.posterior.trunk.matrix != 0)
    assert step.grads.posterior.trunk.order is None
    assert parameters(posterior) == 6 * 4 + 2 * (4 * 2 + 2)


def test_your_own_networks_stand_at_the_bottom_of_two_layers():
    own = eqx.nn.MLP(6, 4, 5, 1, key=jax.random.key(0))
    model, posterior = built(BINARY, layers=2, encoder=own, decoder=lambda h: h * h)
    assert posterior.conditionals[0].trunk is own
    assert weights(posterior.conditionals[1]) == [(4, 1), (1, 2), (1, 2)]
    assert weights(model.likelihood) == [(4, 6)]


def test_a_perceptron_is_its_formula():
    mlp = MLP.glorot(3, (5, 4), activation="relu", key=jax.random.key(2))
    x = np.array([0.3, -1.0, 2.0])
    value = x
    for layer in mlp.layers:
        value = np.maximum(through(layer, value), 0)
    np.testing.assert_allclose(mlp(jnp.asarray(x, jnp.float32)), value, rtol=1e-5)
    identity = MLP.glorot(3, (), key=jax.random.key(2))
    np.testing.assert_array_equal(identity(jnp.asarray(x)), x.astype(np.float32))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_can_be_chosen(activation):
    _, posterior = built(BINARY, activation=activation)
    bare = built(BINARY)[1]
    layer = bare.trunk.layers[0]
    x = jnp.asarray(BINARY[0])
    np.testing.assert_allclose(
        posterior.trunk(x), ACTIVATIONS[activation](layer(x)), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"likelihood": "poison"},
            "expected likelihood to be one of .* got 'poison'; did you mean",
        ),
        ({"activation": "swish"}, "expected activation to be one of tanh, .* got 'swish'"),
        ({"layers": 0}, "expected layers >= 1, got 0"),
        ({"latent": 0}, "expected sizes >= 1, got latent="),
        ({"hidden": (3, 0)}, "expected sizes >= 1, got .*hidden="),
        ({"latent": (4, 2)}, "expected 1 entries of latent for layers=1, got .*4, 2"),
        ({"layers": 2, "latent": (4,)}, "expected 2 entries of latent for layers=2"),
        ({"layers": 2, "hidden": ((4,),)}, "expected 2 entries of hidden for layers=2"),
        ({"encoder": jnp.sum}, r"map one item of shape \(6,\) to a vector .* shape \(\)"),
        ({"decoder": lambda h: h[None]}, r"one item of shape \(2,\) .* output of shape \(1, 2\)"),
    ],
)
def test_wrong_use_is_refused_in_words(options, message):
    with pytest.raises(UsageError, match=message):
        built(BINARY, **options)


@pytest.mark.parametrize(
    ("data", "likelihood", "message"),
    [
        (REAL, "bernoulli", r"Bernoulli likelihood: row 0, column \d .* expected a number in \[0"),
        (np.full((2, 2), np.nan), "gaussian", r"column 0 \(counted from 0\) has no value at all"),
        (np.zeros((0, 3)), "bernoulli", "at least one row"),
    ],
)
def test_wrong_data_are_refused_in_words(data, likelihood, message):
    with pytest.raises(UsageError, match=message):
        built(data, likelihood=likelihood)


# False alarms: two Kolmogorov-Smirnov tests at 1e-6.
@pytest.mark.stat
def test_all_numbers_of_dense_layers_can_start_from_one_normal():
    x = np.zeros((2, 30), np.float32)
    parts = Params(*autoencoder(x, latent=5, hidden=(40,), layers=2, initial=0.1))
    start = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parts)])
    assert stats.kstest(start, stats.norm(0, 0.1).cdf).pvalue > 1e-6
    # A further replica is drawn by the same rule, biases too.
    replica = reinitialised(parts, jax.random.key(1))
    again = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(replica)])
    assert stats.kstest(again, stats.norm(0, 0.1).cdf).pvalue > 1e-6
    assert np.all(start != again)
    assert abs(np.corrcoef(start, again)[0, 1]) < 5 / np.sqrt(len(start))
    with pytest.raises(UsageError, match="initial > 0, got 0"):
        autoencoder(x, initial=0.0)
