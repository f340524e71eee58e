"""Posteriors without a density are judged by one that stands in for them, without bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.objectives.implicit.toys import MEAN, SCALE, SLOPE, SPREAD, explicit, implicit, model
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.evidence.densities import MomentMatched, with_density

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32) * 1.3


def log_evidence(x):
    return -0.5 * np.sum(x**2 / (1 + SPREAD**2) + np.log(2 * np.pi * (1 + SPREAD**2)), axis=1)


def test_moments_are_those_of_the_draws():
    q = MomentMatched(implicit(), 5000, jax.random.key(1))
    mean, factor = q.moments(jnp.asarray(X[0]))
    # Six standard errors, and four for each of the variances.
    np.testing.assert_allclose(mean, X[0] @ SLOPE + MEAN, atol=6 * 1.2 / 5000**0.5)
    np.testing.assert_allclose(factor @ factor.T, np.diag(SCALE**2), atol=0.12)
    z = jnp.array([0.3, -0.8])
    exact = jax.scipy.stats.multivariate_normal.logpdf(z, mean, factor @ factor.T)
    np.testing.assert_allclose(q.log_prob(z, jnp.asarray(X[0])), exact, rtol=1e-4)
    np.testing.assert_array_equal(q.mean(jnp.asarray(X[0])), mean)


@pytest.mark.slow
def test_the_evidence_of_an_implicit_posterior_is_unbiased():
    # E[p-hat] = p(x) whatever stands in for q. False alarms: 9.6e-7.
    ratios = [
        np.exp(
            tb.evaluate(model(), implicit(), X, k=20, key=seed, progress=False).log_evidence
            - log_evidence(X)
        )
        for seed in range(25)
    ]
    assert abs(z_of_mean(np.concatenate(ratios), 1.0)) < LIMIT
    ev = tb.evaluate(model(), implicit(), X, k=400, progress=False)
    assert "proposal: the normal with the moments of 200 draws of the implicit q(z|x)" in str(
        ev.summary()
    )
    exact = tb.evaluate(model(), explicit(), X, k=400, progress=False)
    assert not exact.proposal
    np.testing.assert_allclose(ev.mean, exact.mean, atol=0.05)


@pytest.mark.slow
def test_annealing_starts_at_what_stands_in():
    found = tb.evidence.annealed(
        model(), X[:4], start=implicit(), temperatures=10, chains=16, progress=False
    )
    assert "moments of 200 draws" in found.method
    error = np.hypot(found.stderr_draws, 0.01)
    assert abs(found.mean - log_evidence(X[:4]).mean()) < LIMIT * error


def test_activity_is_that_of_the_mean_over_draws():
    (units,) = tb.diagnostics.active_units(model(), implicit(), X, draws=400)
    (exact,) = tb.diagnostics.active_units(model(), explicit(), X)
    np.testing.assert_allclose(units.variance, exact.variance, rtol=0.15, atol=0.02)


def test_an_explicit_posterior_stands_for_itself_and_none_is_refused():
    q = explicit()
    assert with_density(q, model(), 0, "this") is q
    with pytest.raises(tb.UsageError, match="this needs .* got NoneType"):
        with_density(None, model(), 0, "this")


def test_autoencoders_with_noise_driven_posteriors():
    binary = np.eye(4, dtype=np.float32)
    for kind in ("implicit", "semi_implicit"):
        built, q = tb.autoencoder(binary, latent=2, hidden=(5,), posterior=kind)
        assert q.sample(jnp.asarray(binary[0]), key=jax.random.key(0)).shape == (2,)
        assert q.noise == 3
        assert built.log_joint(jnp.asarray(binary[0]), jnp.zeros(2)).shape == ()
        with pytest.raises(tb.UsageError, match="expected layers=1, got 2"):
            tb.autoencoder(binary, latent=2, layers=2, posterior=kind)
