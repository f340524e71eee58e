"""Convolutional networks: what a convolution is, by SciPy, and what they see and give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, Given
from tightbound.networks import Convolution, Images, Residual, Shifted
from tightbound.networks.convolutional import doubled, halved
from tightbound.training.state import reinitialised

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
SMALL = Images.of((7, 5, 3), (4, 6))


def blobs(n=60, shape=(9, 8)):
    """Grey images in [0, 1] of one bright spot each."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: shape[0], : shape[1]]
    at = rng.uniform(2, 6, size=(n, 2))
    away = (y - at[:, 0, None, None]) ** 2 + (x - at[:, 1, None, None]) ** 2
    return np.exp(-away / 3).astype(np.float32)


def test_a_convolution_is_that_of_scipy():
    layer = Convolution.glorot(3, 4, key=KEY)
    layer = Convolution(layer.weight, jnp.arange(4.0))
    x = RNG.normal(size=(6, 5, 3)).astype(np.float32)
    kernel = np.asarray(layer.weight, np.float64).reshape(3, 3, 3, 4)
    expected = np.arange(4.0) + np.stack(
        [
            sum(
                scipy.signal.correlate2d(x[..., c].astype(np.float64), kernel[..., c, o], "same")
                for c in range(3)
            )
            for o in range(4)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(layer(jnp.asarray(x)), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(6, 4), (7, 5), (1, 2)])
def test_doubling_undoes_halving(size):
    x = jnp.asarray(RNG.normal(size=(*size, 3)), jnp.float32)
    assert np.array_equal(doubled(halved(x), size), x)
    assert halved(x).shape == (-(-size[0] // 2), -(-size[1] // 2), 12)


def test_a_block_begins_as_the_identity_also_in_a_replica():
    block = Residual.of(5, "silu", KEY)
    x = jnp.asarray(RNG.normal(size=(4, 3, 5)), jnp.float32)
    assert np.array_equal(block(x), x)
    model, q = tb.autoencoder(blobs(), network="conv", latent=2, hidden=(3,))
    again = reinitialised(tb.objectives.Params(model, q), jax.random.key(9)).posterior.trunk
    (halving, block), (before, _) = again.layers[0], q.trunk.layers[0]
    assert not np.any(block.second.weight)
    assert not np.array_equal(halving.weight, before.weight)
    limit = np.abs(before.weight).max()
    assert 0.8 * limit < np.abs(halving.weight).max() < limit / 0.8


def test_a_shift_of_the_image_is_one_of_the_features():
    layer = Convolution.glorot(4, 6, key=KEY)
    x = jnp.zeros((12, 12, 1)).at[4, 4].set(1.0)
    there = jnp.zeros((12, 12, 1)).at[6, 8].set(1.0)
    found, moved = layer(halved(x)), layer(halved(there))
    np.testing.assert_allclose(moved[1:, 2:], found[:-1, :-2], atol=1e-7)


def test_numbers_of_a_value_stand_side_by_side_or_behind_one_another():
    d, z = SMALL.size, jnp.asarray([0.4, -1.0])
    inside, behind = (SMALL.decoder(2, 3 * d, inside=of, key=KEY)(z) for of in (True, False))
    assert np.array_equal(inside.reshape(d, 3), behind.reshape(3, d).T)
    # Neighbours in the last axis are channels of one pixel: what is shifted is the whole pixel.
    assert not np.array_equal(inside, behind)


def test_a_condition_and_a_mask_are_seen():
    encoder = SMALL.encoder(SMALL.size, condition=2, masked=True, key=KEY)
    x = jnp.asarray(RNG.random(SMALL.size), jnp.float32)
    known = jnp.ones(SMALL.size, bool)
    c = jnp.asarray([1.0, 0.0])
    usual = encoder(Datum(x, known, c))
    assert usual.shape == (2 * 2 * 6,)
    np.testing.assert_array_equal(encoder(Datum(x, None, c)), usual)
    assert not np.allclose(encoder(Datum(x, known, 1 - c)), usual)
    hidden = known.at[7].set(False)
    unseen = x.at[7].set(0.0)
    assert not np.allclose(encoder(Datum(unseen, hidden, c)), encoder(Datum(unseen, known, c)))
    decoder = SMALL.decoder(2 + 2, SMALL.size, inside=False, key=KEY)
    z = jnp.asarray([0.3, 0.1])
    assert not np.allclose(decoder(Given(z, c)), decoder(Given(z, 1 - c)))


def test_the_logits_of_pixels_start_at_their_means():
    x = np.round(blobs())
    model, _ = tb.autoencoder(x, network="conv", latent=2, hidden=(3,))
    start = model.likelihood.logits
    assert isinstance(start, Shifted)
    mean = np.clip(x.reshape(len(x), -1).mean(axis=0), 1e-3, 1 - 1e-3)
    np.testing.assert_allclose(start.start.values, np.log(mean / (1 - mean)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("likelihood", "layers", "hole"),
    [("bernoulli", 1, False), ("gaussian", 2, True), ("gaussian_scalar", 1, True)],
)
def test_images_are_fitted_evaluated_and_come_back(likelihood, layers, hole, tmp_path):
    x = blobs(80)
    x = np.round(x) if likelihood == "bernoulli" else x
    x[3, 2, 2] = np.nan if hole else x[3, 2, 2]
    parts = tb.autoencoder(
        x, network="conv", latent=2, hidden=((3, 4), (5,))[:layers] if layers > 1 else (3, 4),
        layers=layers, likelihood=likelihood,
    )  # fmt: skip
    run = tb.fit(
        *parts, x, objective="iwae(k=4)", epochs=30, seeds=2, batch_size=20, optimizer="adam"
    )
    bounds = [epoch.train_bound for epoch in run.history]
    assert np.mean(bounds[-1]) > np.mean(bounds[0]) + 1
    tb.save(tmp_path / "run.safetensors", run)
    back = tb.load(tmp_path / "run.safetensors")
    one, two = (tb.evaluate(of.model, of.posterior, x[:9], k=20) for of in (run, back))
    assert np.array_equal(one.log_evidence, two.log_evidence)
    assert np.isfinite(tb.tasks.predictive(run.model, run.posterior, x[:5], k=50).mean).all()


def test_what_is_no_image_is_refused():
    for shape, words in (
        ((3, 64), r"expected items of shape \(height, width\)"),
        ((3, 4, 4, 9), "up to 4 channels"),
        ((3, 4, 3), "expected sides of 4 pixels or more"),
    ):
        x = RNG.random(shape).astype(np.float32).round()
        with pytest.raises(UsageError, match=words):
            tb.autoencoder(x, network="conv", latent=2, hidden=(3, 3))
    with pytest.raises(UsageError, match="did you mean conv"):
        tb.autoencoder(blobs(), network="cnn")


@pytest.mark.parametrize(
    ("item", "channels"),
    [((8, 8), (32,)), ((28, 28), (32, 64)), ((64, 64, 3), (32, 64, 64, 64)), ((5, 5), (32,))],
)
def test_sizes_go_by_the_image(item, channels):
    assert Images.of(item, None).channels == channels
