"""A density by itself: quadrature against published integrals, and the estimators on it.

False alarms: means at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.evidence import targets
from tests.evidence.toys import pixels
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.evidence import annealed, exact, jackknife, prior_sampling, reverse_annealed
from tightbound.evidence.exact.log_evidence import _integrated


@pytest.mark.parametrize(
    ("make", "points", "truth", "tolerance"),
    [
        (targets.five_modes, 511, 0.0, 3e-5),
        (targets.banana, 511, np.log(7.99792), 3e-5),
        (lambda: targets.wells(1), 511, targets.WELLS, 3e-5),
        (targets.shells, 1021, -1.75 + np.log(144), 0.005),
        (lambda: targets.twisted(2), 511, 0.0, 3e-5),
        # Far from the origin, and a thousand times as narrow.
        (
            lambda: tb.Target(lambda z: -0.5e6 * jnp.sum((z - jnp.array([30.3, -7.7])) ** 2), 2),
            511,
            np.log(2e-6 * np.pi),
            3e-4,
        ),
        (lambda: tb.Target(lambda z: -(z[0] ** 4), 1), 4099, 0.594875, 3e-5),
    ],
)
def test_quadrature_reaches_the_published_digits(make, points, truth, tolerance):
    found = exact(make(), points=points)
    assert found.log_evidence.item() == pytest.approx(truth, abs=tolerance)
    assert found.error.item() < 5e-3
    assert "quadrature" in found.summary()
    assert found.summary().startswith("log Z = ")


def test_too_few_points_show():
    # Eighteen narrow peaks, between the points of every grid but a fine one.
    peaks = exact(targets.eggbox())
    assert peaks.error.item() > abs(peaks.log_evidence.item() - 235.855940) > 0.01


@pytest.mark.slow
def test_enough_points_reach_the_peaks():
    peaks = exact(targets.eggbox(), points=4099)
    assert peaks.mean == pytest.approx(235.855940, abs=1e-3)
    found = exact(targets.shells(), points=67)
    assert abs(found.log_evidence.item() - (-1.75 + np.log(144))) > 0.01
    assert found.error.item() > 0.01


@pytest.mark.slow
def test_quadrature_and_closed_form_agree_with_the_oracle():
    model = linear_gaussian.one_layer_model()
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(0), 20))
    truth = linear_gaussian.log_evidence(model, x)
    closed = exact(model, np.asarray(x))
    np.testing.assert_allclose(closed.log_evidence, truth, rtol=1e-6)
    assert "closed form" in closed.summary()
    grid = _integrated(model, x, dim=2, points=127)  # in single precision here
    np.testing.assert_allclose(grid.log_z, truth, atol=1e-4)
    assert np.max(grid.error) < 0.01
    parts, x, truth = pixels(5)
    np.testing.assert_allclose(exact(parts.model, x).log_evidence, truth, atol=2e-3)


def test_a_linear_gaussian_model_is_what_it_says():
    w, b = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]), np.array([0.1, 0.2, 0.3])
    model = tb.models.linear_gaussian(w, b, 0.5)
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(1), 20_000))
    assert np.abs(z_of_mean(np.asarray(x), b)).max() < LIMIT
    np.testing.assert_allclose(np.cov(x.T), w @ w.T + 0.25 * np.eye(3), atol=0.15)
    with pytest.raises(UsageError, match="loading of shape"):
        tb.models.linear_gaussian(w, b[:2], 0.5)
    with pytest.raises(UsageError, match="scales above 0"):
        tb.models.linear_gaussian(w, b, 0.0)


@pytest.mark.slow
@pytest.mark.stat
def test_the_estimators_take_a_target():
    truth = np.log(7.99792)
    bare, start = targets.banana(), targets.Wide(2)
    with_prior = tb.Target(bare.likelihood.log_density, 2, prior=start)
    for found in (
        tb.evaluate(bare, start, k=20_000),
        prior_sampling(with_prior, k=20_000),
        jackknife(bare, start, k=5000, order=1),
        annealed(bare, start=start, temperatures=100, chains=200, leapfrog=4),
        annealed(with_prior, temperatures=100, chains=200, leapfrog=4),
    ):
        assert found.log_evidence.shape == (1,)
        assert abs(found.mean - truth) < LIMIT * found.stderr_draws
        assert found.stderr_draws < 0.2
        assert found.summary().startswith("log Z = ")
        assert found.binarisation == "no data"
    # Backwards, from an exact draw: this density is normal in the end.
    normal = tb.Target(lambda z: -0.5 * jnp.sum((z - 1.0) ** 2), 2)
    draw = 1 + jax.random.normal(jax.random.key(0), (1, 2))
    settings = {"start": start, "temperatures": 100, "chains": 100, "leapfrog": 4}
    upper = reverse_annealed(normal, None, draw, **settings)
    assert abs(upper.mean - np.log(2 * np.pi)) < LIMIT * upper.stderr_draws
    assert upper.direction == "upper"


def test_wrong_use_is_refused():
    bare = targets.banana()
    with pytest.raises(UsageError, match="a Target has no data"):
        tb.evaluate(bare, targets.Wide(2), np.zeros((3, 2)))
    with pytest.raises(UsageError, match="this needs draws of a prior"):
        annealed(bare)
    with pytest.raises(UsageError, match="to be one number"):
        tb.Target(lambda z: z, 2)
    with pytest.raises(UsageError, match="dim >= 1"):
        tb.Target(lambda z: z[0], 0)
    with pytest.raises(UsageError, match=r"a prior on R\^2"):
        tb.Target(lambda z: z[0], 2, prior=targets.Wide(3))
    with pytest.raises(
        UsageError, match="one or two real latent dimensions, got NoPrior in 4 real"
    ):
        exact(targets.four_dimensions())
    with pytest.raises(UsageError, match="one more than a multiple of 6"):
        exact(bare, points=10)
    model = linear_gaussian.one_layer_model()
    with pytest.raises(UsageError, match="expected data of shape"):
        tb.evaluate(model, model.prior)
