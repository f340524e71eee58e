"""Laws of single columns against SciPy: densities, masses, means and draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.likelihoods.laws import (
    COUNTS,
    POSITIVE,
    REAL,
    UNIT,
    ZEROS,
    chi_square,
    f64,
    free_of,
    log_probs,
    of,
)


def zero_inflated(law, p, within):
    """A frozen law with `log_prob`, `cdf` and `mean`, as SciPy's have."""
    share = f64(law.zero_share(p))

    class Mixed:
        def logpmf(self, x):
            inner = np.log1p(-share) + within.logpmf(x)
            return np.where(x == 0, np.logaddexp(np.log(share), inner), inner)

        def cdf(self, x):
            return share + (1 - share) * within.cdf(x)

        def mean(self):
            return (1 - share) * within.mean()

    return Mixed()


def negative_binomial(law, free):
    size, mean = map(f64, law.parameters(free))
    return stats.nbinom(size, size / (size + mean))


CASES = {
    "gaussian": (REAL, {}, lambda law, a: stats.norm(*map(f64, law.parameters(a)))),
    "gaussian_fixed": (
        REAL, {"scale": 0.5}, lambda law, a: stats.norm(f64(law.parameters(a)[0]), 0.5)
    ),
    "gaussian_scalar": (REAL, {}, lambda law, a: stats.norm(*map(f64, law.parameters(a)))),
    "gaussian_column": (REAL, {}, lambda law, a: stats.norm(*map(f64, law.parameters(a)))),
    "student_t": (REAL, {}, lambda law, a: stats.t(*map(f64, law.parameters(a)))),
    "log_normal": (
        POSITIVE,
        {},
        lambda law, a: stats.lognorm(f64(law.parameters(a)[1]), 0, np.exp(law.parameters(a)[0])),
    ),
    "gamma": (
        POSITIVE,
        {},
        lambda law, a: stats.gamma(
            f64(law.parameters(a)[0]),
            scale=f64(law.parameters(a)[1]) / f64(law.parameters(a)[0]),
        ),
    ),
    "beta": (UNIT, {}, lambda law, a: stats.beta(*map(f64, law.parameters(a)))),
    "poisson": (COUNTS, {}, lambda law, a: stats.poisson(f64(law.parameters(a)[0]))),
    "negative_binomial": (COUNTS, {}, negative_binomial),
    "zero_inflated_poisson": (
        ZEROS,
        {},
        lambda law, a: zero_inflated(law, a, stats.poisson(f64(law.of.parameters(a[:, 1:])[0]))),
    ),
    "zero_inflated_negative_binomial": (
        ZEROS,
        {},
        lambda law, a: zero_inflated(law, a, negative_binomial(law.of, a[:, 1:])),
    ),
}  # fmt: skip
CONTINUOUS = [name for name, (x, *_) in CASES.items() if x is REAL or x is POSITIVE or x is UNIT]
DISCRETE = [name for name in CASES if name not in CONTINUOUS]


@functools.cache
def case(name):
    x, options, oracle = CASES[name]
    law = of(name, x, **options)
    free = free_of(law, 0.1 if name == "beta" else 0.5)  # steeper ends are beyond float32
    return law, free, oracle(law, free)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_are_scipys(name):
    law, free, truth = case(name)
    p = np.array([1e-6, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.9, 1 - 1e-3, 1 - 1e-6])
    p = p[1:-1] if name == "beta" else p
    x = f64(np.float32(truth.ppf(p[:, None])))
    # Single precision tells values at 30 apart by 2e-6, where the scale is 0.1.
    np.testing.assert_allclose(log_probs(law, free, x), truth.logpdf(x), rtol=2e-4, atol=2e-4)
    if name != "student_t":
        found = jax.vmap(lambda v: law.cdf(v, free))(jnp.asarray(x, jnp.float32))
        np.testing.assert_allclose(found, truth.cdf(x), rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("name", ["gaussian", "gaussian_column", "log_normal"])
def test_an_inverse_cdf_is_one(name):
    law, free, truth = case(name)
    for p in (0.01, 0.5, 0.95):
        found = law.icdf(jnp.full(2, p), free)
        np.testing.assert_allclose(found, truth.ppf(p), rtol=1e-5)


@pytest.mark.parametrize("name", DISCRETE)
def test_masses_are_scipys_and_sum_to_one(name):
    law, free, truth = case(name)
    x = np.array([0, 1, 2, 3, 10, 100, 1000, 1e5, 1e6])[:, None] * np.ones(2)
    np.testing.assert_allclose(log_probs(law, free, x), truth.logpmf(x), rtol=2e-5, atol=2e-5)
    # Up to 4,000, beyond which there is less than 1e-9.
    every = np.arange(4000)[:, None] * np.ones(2)
    total = np.exp(log_probs(law, free, every)).sum(axis=0)
    np.testing.assert_allclose(total, 1.0, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_means_are_scipys(name):
    law, free, truth = case(name)
    np.testing.assert_allclose(law.mean(free), truth.mean(), rtol=1e-4)


# Two columns by 5,000 draws: false alarms 2e-6 for each law, the least p-value at 1e-6.
@pytest.mark.stat
@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_are_scipys(name):
    law, free, truth = case(name)
    x = f64(jax.vmap(lambda key: law.sample(key, free))(jax.random.split(jax.random.key(0), 5000)))
    u = truth.cdf(x)
    assert min(stats.kstest(column, "uniform").pvalue for column in u.T) > 1e-6


@pytest.mark.stat
@pytest.mark.parametrize("name", DISCRETE)
def test_counts_are_scipys(name):
    law, free, truth = case(name)
    x = f64(jax.vmap(lambda key: law.sample(key, free))(jax.random.split(jax.random.key(0), 5000)))
    masses = np.exp(truth.logpmf(np.arange(2000)[:, None] * np.ones(2)))
    # Two p-values above 1e-6: false alarms 2e-6 for each law.
    assert min(chi_square(x[:, i], masses[:, i]) for i in range(2)) > 1e-6


def test_free_numbers_at_zero_give_the_training_column():
    for name, x in (("gaussian", REAL), ("gamma", POSITIVE), ("beta", UNIT)):
        law = of(name, x)
        zero = jnp.zeros((2, law.size))
        np.testing.assert_allclose(law.mean(zero), x.mean(axis=0), rtol=1e-4)
        np.testing.assert_allclose(CASES[name][2](law, zero).std(), x.std(axis=0), rtol=5e-3)
    law = of("negative_binomial", COUNTS)
    truth = negative_binomial(law, jnp.zeros((2, 2)))
    np.testing.assert_allclose(truth.mean(), COUNTS.mean(axis=0), rtol=1e-2)
    np.testing.assert_allclose(truth.std()[1], COUNTS.std(axis=0)[1], rtol=1e-2)
