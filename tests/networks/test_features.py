"""What networks see of a table: standardised numbers, one-hot levels, zeros for holes, the mask."""

import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.core.items import Datum
from tightbound.networks import Features, Featurized

RNG = np.random.default_rng(0)
X = np.stack(
    [
        RNG.normal(50, 3, 200),
        RNG.integers(0, 3, 200),
        np.exp(RNG.normal(2, 1, 200)),
        RNG.poisson(4, 200),
        RNG.integers(0, 2, 200),
    ],
    axis=1,
).astype(np.float32)
SEES, LEVELS = ("real", "levels", "log", "log1p", "levels"), (0, 3, 0, 0, 2)


def test_numbers_are_standardised_on_their_scale_and_levels_are_one_hot():
    features = Features.of(X, SEES, LEVELS)
    assert features.size == 3 + 5
    seen = np.asarray(features(jnp.asarray(X)))
    scales = np.stack([X[:, 0], np.log(X[:, 2]), np.log1p(X[:, 3])], axis=1).astype(np.float64)
    truth = (scales - scales.mean(axis=0)) / scales.std(axis=0)
    np.testing.assert_allclose(seen[:, :3], truth, atol=2e-5)
    np.testing.assert_array_equal(seen[:, 3:6], np.eye(3)[X[:, 1].astype(int)])
    np.testing.assert_array_equal(seen[:, 6:], np.eye(2)[X[:, 4].astype(int)])
    np.testing.assert_array_equal(features.columns, [0, 2, 3, 1, 1, 1, 4, 4])
    np.testing.assert_allclose(features(jnp.asarray(X[7])), seen[7], atol=1e-6)


def test_heavy_tails_are_tamed():
    x = RNG.standard_cauchy((500, 2)).astype(np.float32)
    seen = Features.of(x, ("arcsinh", "real"), (0, 0))(jnp.asarray(x))
    low, middle, high = np.quantile(x[:, 0].astype(np.float64), (0.25, 0.5, 0.75))
    np.testing.assert_allclose(
        seen[:, 0], np.arcsinh((x[:, 0] - middle) / (high - low)), rtol=1e-3, atol=1e-5
    )
    assert np.abs(seen[:, 0]).max() < 12


def test_holes_are_zero_and_the_mask_comes_last():
    x = X.copy()
    x[::2, 1] = np.nan
    x[::3, 0] = np.nan
    features = Features.of(x, SEES, LEVELS)
    assert features.masked
    assert features.size == 8 + 5
    observed = jnp.array([False, False, True, True, True])
    seen = features(Datum(jnp.where(observed, X[0], 0.0), observed))
    assert np.all(np.asarray(seen)[[0, 3, 4, 5]] == 0)
    np.testing.assert_array_equal(seen[8:], observed)
    np.testing.assert_array_equal(features(jnp.asarray(X[0]))[8:], np.ones(5))
    known = np.nanmean(x[:, 0], dtype=np.float64)
    np.testing.assert_allclose(features.standardization.shift.values[0], known, rtol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_what_stands_before_a_row_stays_and_a_condition_is_handed_on(masked):
    x = X.copy()
    if masked:
        x[0, 0] = np.nan
    features = Features.of(x, SEES, LEVELS)
    behind = features.behind(2)
    before = jnp.array([7.0, -3.0])
    seen = behind(jnp.concatenate([before, X[1]]))
    np.testing.assert_array_equal(seen, np.concatenate([before, features(jnp.asarray(X[1]))]))
    assert behind.size == features.size + 2
    network = Featurized(lambda u: u, features)
    with pytest.raises(ValueError, match="does not read"):
        network(Datum(jnp.asarray(X[1]), None, jnp.ones(2)))
    found = features(Datum(jnp.asarray(X[1]), None, jnp.ones(2)))
    np.testing.assert_array_equal(found.condition, np.ones(2))
    np.testing.assert_array_equal(network(jnp.asarray(X[1])), features(jnp.asarray(X[1])))
