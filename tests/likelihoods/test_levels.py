"""Laws of levels and of bins: masses that sum to one, by softmaxes and differences of sigmoids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from tests.likelihoods.laws import (
    BITS,
    LEVELS,
    N,
    chi_square,
    f64,
    free_of,
    log_probs,
    of,
)

from tightbound.core.errors import UsageError


def test_levels_are_softmaxes_and_sum_to_one():
    law = of("categorical", LEVELS)
    free = free_of(law, 1.0)
    shares = np.stack([np.bincount(LEVELS[:, i], minlength=4) + 0.5 for i in range(2)])
    truth = special.softmax(np.log(shares / shares.sum(1, keepdims=True)) + f64(free), axis=1)
    np.testing.assert_allclose(np.exp(law.log_probs(free)), truth, rtol=1e-5)
    np.testing.assert_array_equal(law.mean(free), truth.argmax(axis=1))
    found = [law.log_prob(jnp.full(2, float(k)), free) for k in range(4)]
    np.testing.assert_allclose(np.stack(found, axis=1), np.log(truth), rtol=1e-4, atol=1e-6)


def test_ordinal_levels_are_differences_of_sigmoids():
    law = of("ordinal", LEVELS)
    shares = np.stack([np.bincount(LEVELS[:, i], minlength=4) + 0.5 for i in range(2)])
    shares = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(law.log_probs(jnp.zeros((2, 1)))), shares, rtol=1e-5)
    free = jnp.array([[0.7], [-30.0]])
    below = special.expit(f64(law.thresholds) - f64(free))
    truth = np.diff(below, prepend=0.0, append=1.0, axis=1)
    np.testing.assert_allclose(np.exp(law.log_probs(free)), truth, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(np.exp(law.log_probs(free)).sum(axis=1), 1.0, rtol=1e-5)
    assert np.all(np.diff(law.thresholds, axis=1) > 0)


def test_bernoulli_columns_have_sigmoids():
    law = of("bernoulli", BITS)
    logit = special.logit((BITS.sum(axis=0) + 0.5) / (N + 1)) + np.array([0.3, -40.0])
    free = jnp.array([[0.3], [-40.0]])
    for k in (0.0, 1.0):
        found = law.log_prob(jnp.full(2, k), free)
        np.testing.assert_allclose(found, special.log_expit(logit if k else -logit), rtol=1e-5)
        np.testing.assert_allclose(law.log_probs(free)[:, int(k)], found, rtol=1e-5)


@pytest.mark.slow
def test_mixtures_of_bins_are_weighted_sums():
    x = np.round(np.random.default_rng(9).normal(100, 40, (N, 2))).clip(0, 255)
    one = of("discretised_logistic", x, low=0, high=255)
    law = of("discretised_logistic_mixture", x, components=3, low=0, high=255)
    free = jnp.asarray(np.random.default_rng(3).normal(size=(2, 9)), jnp.float32)
    parts = f64(free).reshape(2, 3, 3)
    share = special.softmax(parts[..., 0], axis=1)
    grid = np.tile(np.arange(256.0)[:, None], (1, 2))
    each = np.stack(
        [np.exp(log_probs(one, jnp.asarray(parts[:, c, 1:], jnp.float32), grid)) for c in range(3)]
    )
    mass = np.einsum("mc,cgm->gm", share, each)
    np.testing.assert_allclose(np.exp(log_probs(law, free, grid)), mass, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(mass.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(law.mean(free), (grid * mass).sum(axis=0), rtol=1e-4)
    found = law.cdf(jnp.array([90.0, 120.0]), free)
    np.testing.assert_allclose(found, [mass[:91, 0].sum(), mass[:121, 1].sum()], atol=1e-4)
    draws = f64(jax.vmap(lambda k: law.sample(k, free))(jax.random.split(jax.random.key(1), 4000)))
    for column in range(2):
        assert chi_square(draws[:, column], mass[:, column]) > 1e-7  # the false-alarm rate
    with pytest.raises(UsageError, match="expected components >= 2, got 1"):
        of("discretised_logistic_mixture", x, components=1)


@pytest.mark.parametrize("ends", [None, (-10.0, 12.0)])
@pytest.mark.parametrize("scale", [-3.0, 0.0, 1.0])
def test_bins_are_differences_of_logistic_cdfs(ends, scale):
    x = np.round(np.random.default_rng(9).normal(0, 2, (N, 1)) / 0.5) * 0.5
    given = {} if ends is None else {"low": ends[0], "high": ends[1]}
    law = of("discretised_logistic", x, step=0.5, **given)
    free = jnp.array([[0.4, scale]])
    location, s = (float(a[0]) for a in law.parameters(free))
    low, high = (-400.0, 400.0) if ends is None else ends
    grid = np.arange(low, high + 0.25, 0.5)
    truth = stats.logistic(location, s)
    upper, lower = truth.cdf(grid + 0.25), truth.cdf(grid - 0.25)
    if ends is not None:
        upper[-1], lower[0] = 1.0, 0.0
    mass = np.where(grid > location, truth.sf(grid - 0.25) - truth.sf(grid + 0.25), upper - lower)
    if ends is not None:
        mass[-1] = truth.sf(grid[-1] - 0.25)
    found = np.exp(log_probs(law, free, grid[:, None])[:, 0])
    np.testing.assert_allclose(found, mass, rtol=1e-3, atol=1e-9)
    assert found.sum() == pytest.approx(1.0, abs=1e-4)
    assert float(law.mean(free)[0]) == pytest.approx(np.sum(grid * mass), abs=2e-4)
    np.testing.assert_allclose(
        [float(law.cdf(jnp.array([v], jnp.float32), free)[0]) for v in grid[::40]],
        np.cumsum(mass)[::40], atol=1e-4,
    )  # fmt: skip
    p = 0.37
    at = float(law.icdf(jnp.array([p]), free)[0])
    assert float(law.cdf(jnp.array([at]), free)[0]) >= p
    assert float(law.cdf(jnp.array([at - 0.5]), free)[0]) < p
    keys = jax.random.split(jax.random.key(1), 4000)
    draws = f64(jax.vmap(lambda key: law.sample(key, free))(keys))[:, 0]
    number = np.round((draws - low) / 0.5)
    np.testing.assert_allclose(number * 0.5 + low, draws, atol=1e-4)
    assert chi_square(number, mass) > 1e-7  # the false-alarm rate
