"""Laws of single columns far out, at their floors and ends, in the columns' units, and refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from tests.likelihoods.laws import (
    BITS,
    COUNTS,
    LEVELS,
    POSITIVE,
    REAL,
    UNIT,
    N,
    f64,
    free_of,
    of,
)

from tightbound.core import names
from tightbound.core.errors import UsageError
from tightbound.data.schema import Column
from tightbound.likelihoods import Part, likelihoods

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
        "discretised_logistic_mixture": COUNTS - 10.0,
    }  # fmt: skip
    options = {"scale": 0.5} if name == "gaussian_fixed" else {}
    if name in table:
        x = table[name]
        law = of(name, x, **options)
        values = [np.min(x, 0), np.max(x, 0)]
        if name.startswith("discretised_logistic"):
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


CATALOGUE = [n for n, place in names.likelihoods().items() if place.path.stem == "catalogue"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_families_in_the_columns_units_integrate_to_one_with_the_draws_of_their_density(name):
    x = POSITIVE if by_positive(name) else REAL[:, :1] @ np.array([[1.0, 0.01]])
    law = of(name, x)
    free = free_of(law, 0.3)
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
    return likelihoods()[name].description.startswith("positive") or name in (
        "pareto",
        "reciprocal",
    )


def test_a_scale_has_a_floor():
    """Two thirds of the values are 0: the density there stays below that of the floor."""
    rng = np.random.default_rng(8)
    x = np.where(rng.random((N, 2)) < 2 / 3, 0.0, rng.normal(size=(N, 2)))
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
