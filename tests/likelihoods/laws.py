"""Training columns of each kind, and their laws, for the tests of single columns."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from tightbound.data.schema import Column
from tightbound.likelihoods import Part, likelihoods

RNG = np.random.default_rng(3)
N = 400
REAL = np.stack([RNG.normal(5, 2, N), -30 + 1e-1 * RNG.standard_normal(N)], axis=1)
POSITIVE = np.exp(np.stack([RNG.normal(0, 1, N), RNG.normal(-7, 0.3, N)], axis=1))
COUNTS = np.stack([RNG.poisson(3, N), RNG.negative_binomial(2, 0.02, N)], axis=1)
ZEROS = COUNTS * RNG.integers(0, 2, COUNTS.shape)
UNIT = RNG.beta([2.0, 0.8], [3.0, 0.9], (N, 2))
LEVELS = np.stack([RNG.choice(4, N, p=(0.4, 0.3, 0.2, 0.1)), np.arange(N) % 4], axis=1)
BITS = (RNG.random((N, 2)) < (0.2, 0.7)).astype(float)


def f64(values):
    return np.asarray(values, np.float64)


def of(name, x, **options):
    columns = tuple(Column(f"x{i}", "real") for i in range(x.shape[1]))
    return likelihoods()[name].univariate(Part(f64(x), columns), **options)


def free_of(law, spread=0.5):
    """Free numbers of two columns, the same for all laws of one size."""
    numbers = np.random.default_rng(4).normal(0, spread, (2, law.size))
    return jnp.asarray(numbers, jnp.float32)


def log_probs(law, free, x):
    return f64(jax.vmap(lambda v: law.log_prob(v, free))(jnp.asarray(x, jnp.float32)))


def chi_square(x, masses):
    """The p-value of counts 0, 1, ... against their masses; what is rare is put together."""
    expected = len(x) * masses
    seen = np.bincount(x.astype(int), minlength=len(masses))[: len(masses)]
    often = expected >= 5
    rest = len(x) - seen[often].sum(), len(x) - expected[often].sum()
    observed, wanted = seen[often], expected[often]
    if rest[1] > 1:
        observed, wanted = np.append(observed, rest[0]), np.append(wanted, rest[1])
    statistic = np.sum((observed - wanted) ** 2 / wanted)
    return stats.chi2.sf(statistic, len(wanted) - 1)
