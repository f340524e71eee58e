"""Numbers that do not depend on z, and are learned: scales, degrees of freedom, thresholds.

Seeds are fixed, and tolerances chosen so that they leave room for the noise of a fit; they are no
test of maximum likelihood's own errors.
"""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import tightbound as tb

N = 1500
SIZES = {"latent": 1, "hidden": (), "key": 0}


def fitted(x, likelihood, epochs=60):
    model, q = tb.autoencoder(x, likelihood=likelihood, **SIZES)
    sizes = {"batch_size": 50, "epochs": epochs, "key": 1, "optimizer": optax.adam(5e-3)}
    run = tb.fit(model, q, x, objective="iwae(k=5)", **sizes)
    return run.model.likelihood


@pytest.mark.parametrize(
    "likelihood", ["gaussian_column", pytest.param("gaussian_scalar", marks=pytest.mark.slow)]
)
def test_scales_are_those_of_a_linear_model(likelihood):
    rng = np.random.default_rng(1)
    own = np.array([0.5, 1.0, 0.5]) if likelihood == "gaussian_column" else np.full(3, 0.6)
    slopes = np.array([1.5, -1.0, 0.8])
    z = rng.normal(size=(N, 1))
    x = (10 + z * slopes + own * rng.normal(size=(N, 3))).astype(np.float32)
    if likelihood == "gaussian_scalar":  # one scale for standardised columns
        x = x / x.std(axis=0)
        own = None
    found = fitted(x, likelihood)
    (law,), (free,) = found.laws, found.free(jnp.zeros(1))
    scale = np.asarray(law.parameters(free)[1])
    if own is not None:
        # The maximum of the likelihood of one factor for three columns, in closed form.
        s = np.cov(x, rowvar=False)
        own = [
            s[i, i] - s[i, j] * s[i, k] / s[j, k] for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
        ]
        own = np.sqrt(own)
    else:
        # The maximum of the likelihood of PPCA: the mean of the smaller eigenvalues.
        values = np.linalg.eigvalsh(np.cov(x, rowvar=False))
        own = np.sqrt(values[:2].mean()) * np.ones(3)
    np.testing.assert_allclose(scale, own, rtol=0.1)


@pytest.mark.slow
def test_degrees_of_freedom_are_found():
    rng = np.random.default_rng(2)
    truth = np.array([2.5, 30.0])
    x = np.stack([5 + 2 * rng.standard_t(nu, N) for nu in truth], axis=1).astype(np.float32)
    found = fitted(x, "student_t")
    (law,), (free,) = found.laws, found.free(jnp.zeros(1))
    nu, location, scale = (np.asarray(a) for a in law.parameters(free))
    heavy = stats.t.fit(x[:, 0])  # the maximum of the likelihood, without a latent
    assert nu[0] == pytest.approx(heavy[0], rel=0.3)
    assert nu[1] > 7
    np.testing.assert_allclose(location, 5.0, atol=0.4)
    np.testing.assert_allclose(scale, 2.0, rtol=0.2)


@pytest.mark.slow
def test_thresholds_are_found():
    """Four columns of one latent, by cumulative logits."""
    rng = np.random.default_rng(3)
    thresholds, slope = np.array([-1.0, 0.5, 2.0]), 2.0
    z = rng.normal(size=(N, 1))
    noise = rng.logistic(size=(N, 4))
    x = np.searchsorted(thresholds, slope * z + noise).astype(np.float32)
    found = fitted(x, "ordinal", epochs=100)
    (law,), (low,), (high,) = found.laws, found.free(jnp.zeros(1)), found.free(jnp.ones(1))
    # a = b + w z: only t - b is known of the thresholds, and |w|.
    np.testing.assert_allclose(np.asarray(law.thresholds) - np.asarray(low), [thresholds] * 4,
                               atol=0.5)  # fmt: skip
    np.testing.assert_allclose(np.abs(np.asarray(high - low)), slope, atol=0.5)


def test_a_scale_of_many_equal_values_stops_at_its_floor():
    """A column of zeros and a few others: the fitted density is bounded by its floor's."""
    rng = np.random.default_rng(4)
    x = np.where(rng.random((300, 2)) < 0.8, 0.0, rng.normal(size=(300, 2))).astype(np.float32)
    model, q = tb.autoencoder(x, likelihood="gaussian_column", latent=1, hidden=(8,), key=0)
    run = tb.fit(model, q, x, objective="elbo()", batch_size=50, epochs=30, optimizer="adam")
    bound = np.log(1e3 / x.std(axis=0) / np.sqrt(2 * np.pi)).sum()
    assert run.history[-1].train_bound[0] < bound
