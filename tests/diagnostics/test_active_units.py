"""Activity of units against closed forms for linear encoders."""

import jax.numpy as jnp
import numpy as np
import pytest
from tests.oracles.linear_gaussian import affine_normal
from tests.ztest import LIMIT, z_of_mean

from tightbound.core.errors import UsageError
from tightbound.diagnostics import active_units
from tightbound.distributions import Bernoulli, BottomLayer, DiagonalNormal, Layered, StandardNormal
from tightbound.models import Model, autoencoder
from tightbound.networks import MLP, Dense, Standardizing
from tightbound.objectives import Params

# q(u|x) = N(B x + c, diag(SD^2)): the second unit is dead, the third nearly so.
B = np.array([[0.9, -0.4, 0.2], [0.0, 0.0, 0.0], [0.03, 0.02, -0.05], [-0.5, 0.8, 0.6]])
C = np.array([0.3, -0.2, 0.5, 0.0])
SD = np.array([0.4, 1.0, 0.95, 0.2])
# Above it two units with means D u + e.
D = np.array([[0.7, 0.3, -0.6, 0.5], [0.0, 1.1, 0.4, 0.9]])
E = np.array([0.1, -0.3])


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(4)
    return (rng.standard_normal((200, 3)) * [1.0, 0.5, 0.8] + [0, 2.0, -1]).astype(np.float32)


@pytest.fixture(scope="module")
def one_layer():
    likelihood = affine_normal(np.ones((3, 4)), np.zeros(3), np.ones(3))
    return Params(Model(StandardNormal(4), likelihood), affine_normal(B, C, SD))


@pytest.fixture(scope="module")
def two_layers(one_layer):
    below = affine_normal(np.ones((4, 2)), np.zeros(4), np.ones(4))
    prior = Layered((StandardNormal(2), below), downwards=True)
    q = Layered((one_layer.posterior, affine_normal(D, E, np.full(2, 0.3))), downwards=False)
    return Params(Model(prior, BottomLayer(one_layer.model.likelihood)), q)


def covariance(matrix, x):
    """Of matrix @ x over the data, in float64."""
    return matrix @ np.cov(x.astype(np.float64), rowvar=False) @ matrix.T


def test_one_layer_is_exact(one_layer, x):
    (units,) = active_units(one_layer.model, one_layer.posterior, x)
    exact = covariance(B, x)
    np.testing.assert_allclose(units.variance, np.diag(exact), rtol=1e-5, atol=1e-7)
    spectrum = np.sort(np.linalg.eigvalsh(exact))[::-1]
    np.testing.assert_allclose(units.spectrum, spectrum, rtol=1e-5, atol=1e-7)
    assert units.variance[1] == pytest.approx(0, abs=1e-12)
    assert 0 < units.variance[2] < 0.01
    assert units.active == 2


def test_rotation_moves_the_variances_but_not_the_spectrum(one_layer, x):
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    (units,) = active_units(one_layer.model, one_layer.posterior, x)
    (rotated,) = active_units(one_layer.model, affine_normal(rotation @ B, C, SD), x)
    np.testing.assert_allclose(rotated.spectrum, units.spectrum, rtol=1e-4, atol=1e-6)
    assert np.abs(rotated.variance - units.variance).max() > 0.05


def test_divergence_of_each_unit_is_exact(one_layer, x):
    (units,) = active_units(one_layer.model, one_layer.posterior, x)
    mean = x.astype(np.float64) @ B.T + C
    exact = 0.5 * (mean**2 + SD**2 - 1).mean(axis=0) - np.log(SD)
    assert units.kl is not None
    np.testing.assert_allclose(units.kl, exact, rtol=1e-5)


def test_a_unit_equal_to_the_prior_has_no_divergence(one_layer, x):
    q = affine_normal(B * [[1], [0], [1], [1]], np.zeros(4), np.ones(4))
    (units,) = active_units(one_layer.model, q, x)
    assert units.kl is not None
    assert units.kl[1] == pytest.approx(0, abs=1e-7)
    assert np.all(units.kl[[0, 3]] > 0.1)


def test_activity_is_counted_above_a_hundredth(one_layer):
    # A_u of exactly w^2 for data of variance 1.
    x = np.array([[-1.0, 0, 0], [1, 0, 0]], np.float32) / 2**0.5
    widths = np.array([0.0999, 0.1001, 0.0, 2.0])
    q = affine_normal(np.outer(widths, [1, 0, 0]), C, SD)
    (units,) = active_units(one_layer.model, q, x)
    np.testing.assert_allclose(units.variance, widths**2, rtol=1e-5)
    assert units.active == 2


@pytest.mark.stat
def test_upper_layer_is_unbiased(two_layers, x):
    # 8 numbers at LIMIT. Without the correction, D diag(SD^2) D^T / draws would be added.
    draws = 4
    layers = [
        active_units(two_layers.model, two_layers.posterior, x, draws=draws, key=key)
        for key in range(60)
    ]
    exact = covariance(D @ B, x)
    upper = np.array([layer.variance for _, layer in layers])
    added = np.diag(D @ np.diag(SD**2) @ D.T) / draws
    assert np.all(np.abs(z_of_mean(upper, np.diag(exact))) < LIMIT)
    assert np.all(z_of_mean(upper, np.diag(exact) + added) < -LIMIT)
    traces = np.array([layer.spectrum.sum() for _, layer in layers])
    assert abs(z_of_mean(traces, np.trace(exact))) < LIMIT
    np.testing.assert_allclose(layers[0][0].variance, np.diag(covariance(B, x)), rtol=1e-5)
    assert layers[0][1].kl is None


@pytest.mark.stat
def test_one_draw_is_the_convention_of_the_authors(two_layers, x):
    layers = [
        active_units(two_layers.model, two_layers.posterior, x, draws=1, key=key)
        for key in range(60)
    ]
    one_draw = np.array([layer.variance for _, layer in layers])
    exact = np.diag(covariance(D @ B, x) + D @ np.diag(SD**2) @ D.T)
    assert np.all(np.abs(z_of_mean(one_draw, exact)) < LIMIT)


def test_a_dead_upper_unit_is_not_counted_however_noisy_its_input(two_layers, x):
    # Its mean follows the dead unit below: noise of variance 1.2, and no information.
    _, upper = active_units(two_layers.model, two_layers.posterior, x, draws=100)
    noise_only = affine_normal(D * [[1], [1]] * [0, 1, 0, 0], E, np.full(2, 0.3))
    q = Layered((two_layers.posterior.conditionals[0], noise_only), downwards=False)
    _, dead = active_units(two_layers.model, q, x, draws=1000)
    _, authors = active_units(two_layers.model, q, x, draws=1)
    assert upper.active == 2
    assert dead.active == 0
    assert authors.active == 2


def test_grey_values_are_drawn_once_for_each_item():
    grey = np.full((400, 6), 0.5, np.float32)
    bernoulli = Bernoulli(MLP((), "tanh"), Dense(jnp.zeros((2, 6)), jnp.zeros(6)))
    model = Model(StandardNormal(2), bernoulli)
    q = affine_normal(np.eye(2, 6), np.zeros(2), np.ones(2))
    (units,) = active_units(model, q, grey, key=3)
    # Pixels of variance 1/4; the standard error of their variance is about 0.25 / 400.
    np.testing.assert_allclose(units.variance, 0.25, atol=LIMIT * 0.25 / 400)
    (again,) = active_units(model, q, grey, key=3)
    (other,) = active_units(model, q, grey, key=4)
    np.testing.assert_array_equal(units.variance, again.variance)
    assert np.all(units.variance != other.variance)
    with pytest.raises(UsageError, match="row 0, column 0"):
        active_units(model, q, grey, binarize="none")


def test_a_network_of_its_own_gets_the_means_right(x):
    model, q = autoencoder(x, latent=4, hidden=(5,), likelihood="gaussian", key=1)
    assert isinstance(q, DiagonalNormal)
    assert isinstance(q.trunk, Standardizing)
    assert isinstance(q.trunk.network, MLP)
    (units,) = active_units(model, q, x)
    seen = (x - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)
    h = np.tanh(seen @ np.asarray(q.trunk.network.layers[0].weight, np.float64))
    mean = h @ np.asarray(q.location.weight, np.float64)
    np.testing.assert_allclose(units.variance, mean.var(axis=0, ddof=1), rtol=1e-4)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (slice(0, 1), {}, "expected 2 rows of data or more"),
        (slice(None), {"draws": 0}, "expected draws >= 1, got 0"),
        (slice(None), {"binarize": "sometimes"}, "got 'sometimes'"),
    ],
)
def test_refuses(two_layers, x, rows, options, message):
    with pytest.raises(UsageError, match=message):
        active_units(two_layers.model, two_layers.posterior, x[rows], **options)


def test_refuses_infinity_and_wrong_width(one_layer, x):
    with pytest.raises(UsageError, match="expected 3 columns, as many as the model has, got 2"):
        active_units(one_layer.model, one_layer.posterior, x[:, :2])
    bad = x.copy()
    bad[5, 2] = np.inf
    with pytest.raises(UsageError, match="row 5, column 2 .* is inf"):
        active_units(one_layer.model, one_layer.posterior, bad)
