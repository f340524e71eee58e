"""Laws of single columns against SciPy: densities, means, draws, and gradients far out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from tightbound.core.errors import UsageError
from tightbound.data.schema import Column
from tightbound.likelihoods import Part, likelihoods

RNG = np.random.default_rng(3)
N = 400
REAL = np.stack([RNG.normal(5, 2, N), -30 + 1e-1 * RNG.standard_normal(N)], axis=1)
POSITIVE = np.exp(np.stack([RNG.normal(0, 1, N), RNG.normal(-7, 0.3, N)], axis=1))
COUNTS = np.stack([RNG.poisson(3, N), RNG.negative_binomial(2, 0.02, N)], axis=1)
ZEROS = COUNTS * RNG.integers(0, 2, COUNTS.shape)
UNIT = RNG.beta([2.0, 0.5], [3.0, 0.7], (N, 2))
LEVELS = np.stack([RNG.choice(4, N, p=(0.4, 0.3, 0.2, 0.1)), np.arange(N) % 4], axis=1)
BITS = (RNG.random((N, 2)) < (0.2, 0.7)).astype(float)
FREE = np.random.default_rng(4)


def f64(values):
    return np.asarray(values, np.float64)


def of(name, x, **options):
    columns = tuple(Column(f"x{i}", "real") for i in range(x.shape[1]))
    return likelihoods()[name].univariate(Part(f64(x), columns), **options)


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
    free = jnp.asarray(FREE.normal(0, 0.5, (2, law.size)), jnp.float32)
    return law, free, oracle(law, free)


def log_probs(law, free, x):
    return f64(jax.vmap(lambda v: law.log_prob(v, free))(jnp.asarray(x, jnp.float32)))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_are_scipys(name):
    law, free, truth = case(name)
    p = np.array([1e-6, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.9, 1 - 1e-3, 1 - 1e-6])
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


@pytest.mark.stat
@pytest.mark.parametrize("name", DISCRETE)
def test_counts_are_scipys(name):
    law, free, truth = case(name)
    x = f64(jax.vmap(lambda key: law.sample(key, free))(jax.random.split(jax.random.key(0), 5000)))
    masses = np.exp(truth.logpmf(np.arange(2000)[:, None] * np.ones(2)))
    # Two p-values above 1e-6: false alarms 2e-6 for each law.
    assert min(chi_square(x[:, i], masses[:, i]) for i in range(2)) > 1e-6


FAR = {
    "real": lambda x: [np.mean(x, 0) + s * 1e4 * np.std(x, 0) for s in (-1, 1)],
    "positive": lambda x: [np.full(2, 1e-30), np.mean(x, 0) + 1e4 * np.std(x, 0)],
    "count": lambda x: [np.zeros(2), np.full(2, 1e6)],
    "unit": lambda x: [np.zeros(2), np.ones(2)],
}
STEEP = ("gompertz", "gumbel")
"""Their log-densities fall as exp(x): at 1e4 deviations they are -inf in any precision."""


@pytest.mark.parametrize("name", [n for n, e in likelihoods().items() if e.univariate is not None])
def test_log_probs_and_gradients_are_finite_far_out(name):
    table = {
        "categorical": LEVELS, "ordinal": LEVELS, "bernoulli": BITS, "beta": UNIT,
        "discretised_logistic": COUNTS - 10.0,
    }  # fmt: skip
    options = {"scale": 0.5} if name == "gaussian_fixed" else {}
    if name in table:
        x = table[name]
        law = of(name, x, **options)
        values = [np.min(x, 0), np.max(x, 0)]
        if name == "discretised_logistic":
            values = [np.full(2, -1e6), np.full(2, 1e6)]
    else:
        for x in (REAL, POSITIVE, COUNTS):
            try:
                law = of(name, x, **options)
                break
            except UsageError:
                continue
        kind = "positive" if "log" in law.sees and x is POSITIVE else "real"
        values = FAR["count" if x is COUNTS else kind](x)
        if any(np.isfinite(getattr(law, "ends", None) or [np.nan]).ravel()):
            values = [np.min(x, 0), np.max(x, 0)]

    def total(law, free, v):
        return jnp.sum(law.log_prob(v, free))

    far = [0.0] if name in STEEP else [0.0, -8.0, 8.0]
    values = values if name not in STEEP else [np.mean(x, 0)]
    for v in values:
        for size in far:
            free = jnp.full((2, law.size), size, jnp.float32)
            value, grads = jax.value_and_grad(
                lambda parts, v=v: total(*parts, jnp.asarray(v, jnp.float32)), allow_int=True
            )((law, free))
            assert np.isfinite(value), (v, size)
            for leaf in jax.tree.leaves(grads):
                assert leaf.dtype == jax.dtypes.float0 or np.all(np.isfinite(leaf)), (v, size)


def test_levels_are_softmaxes_and_sum_to_one():
    law = of("categorical", LEVELS)
    free = jnp.asarray(FREE.normal(size=(2, 4)), jnp.float32)
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


@pytest.mark.parametrize("ends", [None, (-10.0, 12.0)])
@pytest.mark.parametrize("scale", [-3.0, 0.0, 1.0])
def test_bins_are_differences_of_logistic_cdfs(ends, scale):
    x = np.round(RNG.normal(0, 2, (N, 1)) / 0.5) * 0.5
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


FAMILIES = ("weibull", "rayleigh", "exponential", "gumbel", "laplace", "cauchy", "logistic")


@pytest.mark.parametrize(
    "name", [*FAMILIES, "f", "gompertz", "pareto", "uniform", "triangular", "reciprocal"]
)
def test_families_in_the_columns_units_integrate_to_one_with_the_draws_of_their_density(name):
    x = POSITIVE if by_positive(name) else REAL[:, :1] @ np.array([[1.0, 0.01]])
    law = of(name, x)
    free = jnp.asarray(FREE.normal(0, 0.3, (2, law.size)), jnp.float32)
    keys = jax.random.split(jax.random.key(2), 3000)
    draws = f64(jax.vmap(lambda key: law.sample(key, free))(keys))
    for column in range(2):

        def log_density(v, column=column):
            values = jnp.broadcast_to(jnp.asarray(v, jnp.float32)[:, None], (len(v), 2))
            return f64(jax.vmap(lambda u: law.log_prob(u, free))(values))[:, column]

        own = draws[:, column]
        if by_positive(name):  # in the logarithm, as its tails are long
            a, b = np.log(own.min()) - 8, np.log(own.max()) + 8
            grid = np.linspace(a, b, 20_001)
            density = np.exp(log_density(np.exp(grid)) + grid)
            at = np.log(own)
        else:  # in the hyperbolic sine of standardised values
            middle, spread = np.median(own), np.quantile(own, 0.75) - np.quantile(own, 0.25)
            grid = np.linspace(-25, 25, 40_001)
            wide = middle + spread * np.sinh(grid)
            density = np.exp(log_density(wide)) * spread * np.cosh(grid)
            at = np.arcsinh((own - middle) / spread)
        cdf = integrate.cumulative_trapezoid(density, grid, initial=0.0)
        assert cdf[-1] == pytest.approx(1.0, abs=5e-3)
        # False alarms: p < 1e-7 for each column.
        assert stats.kstest(np.interp(at, grid, cdf / cdf[-1]), "uniform").pvalue > 1e-7


def by_positive(name):
    return name in ("weibull", "rayleigh", "exponential", "f", "gompertz", "pareto", "reciprocal")


def test_a_scale_has_a_floor():
    """Two thirds of the values are 0: the density there stays below that of the floor."""
    x = np.where(RNG.random((N, 2)) < 2 / 3, 0.0, RNG.normal(size=(N, 2)))
    columns = (Column("a", "real"), Column("b", "real", decimals=1))
    law = likelihoods()["gaussian"].univariate(Part(x, columns))
    deviation = x.std(axis=0)
    least = np.array([1e-3 * deviation[0], 0.1 / np.sqrt(12)])
    free = np.zeros((2, 2), np.float32)
    free[:, 0] = -x.mean(axis=0) / deviation
    free[:, 1] = -60.0
    found = law.log_prob(jnp.zeros(2), jnp.asarray(free))
    np.testing.assert_allclose(found, stats.norm.logpdf(0, 0, least), rtol=1e-3)
    np.testing.assert_allclose(law.parameters(jnp.asarray(free))[1], least, rtol=1e-5)


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


@pytest.mark.parametrize(
    ("name", "x", "words"),
    [
        ("log_normal", REAL - 100, "column 'x0' is .*, expected a positive number"),
        ("poisson", UNIT, "column 'x0' is .*, expected a whole number from 0"),
        ("beta", REAL, "column 'x0' is .*, expected a number from 0 to 1"),
        ("categorical", UNIT, "expected levels numbered 0, 1"),
        ("bernoulli", LEVELS, "column 'x.' is [23], expected 0 or 1"),
        ("gaussian", np.ones((9, 1)), "column 'x0' has the one value 1 alone"),
        ("discretised_logistic", UNIT, r"expected discretised_logistic\(step=0.1\)"),
        ("gaussian_fixed", REAL, "needs the standard deviation"),
    ],
)
def test_columns_of_another_kind_are_refused(name, x, words):
    with pytest.raises(UsageError, match=words):
        of(name, x)


def test_what_a_law_lacks_it_says():
    with pytest.raises(UsageError, match="GaussianColumns has no levels"):
        of("gaussian", REAL).log_probs(jnp.zeros((2, 2)))
    with pytest.raises(UsageError, match="PoissonColumns has no icdf"):
        of("poisson", COUNTS).icdf(jnp.zeros(2), jnp.zeros((2, 1)))
    with pytest.raises(UsageError, match="StudentTColumns has no cdf"):
        of("student_t", REAL).cdf(jnp.zeros(2), jnp.zeros((2, 2)))
