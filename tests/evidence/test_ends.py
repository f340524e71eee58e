"""Latents whose mass lies where a float is no longer told from the end of its support.

False alarms: estimates by sampling at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro import distributions as dist
from scipy import integrate, special, stats

import tightbound as tb
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import NonFiniteError, UsageError
from tightbound.evidence import adaptive, annealed, evaluate, exact
from tightbound.models.numpyro.site_laws import law_of

Y = np.array([0.3, 1.2, -0.4, 0.8], np.float32)


def coins(a, k, n=10):
    def model():
        p = numpyro.sample("p", dist.Beta(a, a))
        numpyro.sample("heads", dist.Binomial(n, p), obs=k)

    return model, special.betaln(a + k, a + n - k) - special.betaln(a, a) + np.log(
        special.binom(n, k)
    )


def dirichlet():
    def model():
        p = numpyro.sample("p", dist.Dirichlet(jnp.full(3, 0.1)))
        numpyro.sample("counts", dist.Multinomial(10, p), obs=jnp.array([0, 0, 10]))

    log = special.gammaln
    return model, log(0.3) - log(10.3) + log(10.1) - log(0.1)


def variance():
    def model():
        s2 = numpyro.sample("s2", dist.InverseGamma(3.0, 2.0))
        numpyro.sample("y", dist.Normal(0.0, jnp.sqrt(s2)), obs=jnp.asarray(Y))

    b = 2 + 0.5 * np.sum(np.float64(Y) ** 2)
    return model, 3 * np.log(2) - np.log(2) + special.gammaln(5) - 5 * np.log(b) - 2 * np.log(
        2 * np.pi
    )


def gamma():
    def model():
        numpyro.sample("y", dist.Poisson(numpyro.sample("rate", dist.Gamma(0.1, 1.0))), obs=0)

    return model, 0.1 * np.log(0.5)


def kumaraswamy():
    def model():
        p = numpyro.sample("p", dist.Kumaraswamy(0.5, 0.1))
        numpyro.sample("y", dist.Bernoulli(p).expand([3]).to_event(1), obs=jnp.ones(3))

    return model, np.log(0.1 * special.beta(7, 0.1))


def mixture():
    """In no closed form here: the density goes on as a straight line."""

    def model():
        parts = dist.Beta(jnp.array([0.1, 1.0]), jnp.array([0.1, 2.0]))
        p = numpyro.sample(
            "p", dist.MixtureSameFamily(dist.Categorical(jnp.array([0.3, 0.7])), parts)
        )
        numpyro.sample("heads", dist.Binomial(10, p), obs=10)

    of_10 = np.exp(special.betaln([10.1, 11], [0.1, 2]) - special.betaln([0.1, 1], [0.1, 2]))
    return model, np.log(0.3 * of_10[0] + 0.7 * of_10[1])


def correlation():
    def model():
        factor = numpyro.sample("factor", dist.LKJCholesky(2, 0.1))
        numpyro.factor("nothing", 0.0 * factor[1, 0])

    return model, 0.0


def half_cauchy():
    def model():
        scale = numpyro.sample("scale", dist.HalfCauchy(2.0))
        numpyro.sample("y", dist.Normal(0.0, scale), obs=2.0)

    def density(s):
        return stats.halfcauchy.pdf(s, scale=2) * stats.norm.pdf(2, scale=s)

    pieces = [0, 0.5, 2, 10, 100, np.inf]
    return model, np.log(
        sum(
            integrate.quad(density, a, b, epsabs=0, epsrel=1e-11)[0]
            for a, b in zip(pieces[:-1], pieces[1:], strict=True)
        )
    )


def truncated():
    def model():
        x = numpyro.sample("x", dist.TruncatedNormal(0.0, 1.0, low=-1.0, high=2.0))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=3.0)

    within = stats.norm.cdf(2) - stats.norm.cdf(-1)
    posterior = stats.norm(1.5, np.sqrt(0.5))
    return model, stats.norm.logpdf(3, 0, np.sqrt(2)) + np.log(
        (posterior.cdf(2) - posterior.cdf(-1)) / within
    )


EXACT = {
    **{f"beta({a}), {k} of 10": lambda a=a, k=k: coins(a, k) for a, k in (
        (0.05, 10), (0.1, 0), (0.5, 10), (2.0, 3), (50.0, 10)
    )},
    **{f.__name__: f for f in (
        dirichlet, variance, gamma, kumaraswamy, mixture, correlation, half_cauchy, truncated
    )},
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_quadrature_is_right_to_within_its_error(name):
    model, truth = EXACT[name]()
    found = exact(tb.from_numpyro(model))
    assert abs(found.mean - truth) <= found.error.item() < 1e-3
    assert abs(found.mean - truth) < 1e-7


def test_a_likelihood_that_rounding_spoils_shows_in_the_error():
    def model():
        p = numpyro.sample("p", dist.Uniform())
        numpyro.factor("towards one", -0.95 * jnp.log1p(-p))

    found = exact(tb.from_numpyro(model))
    assert found.error.item() > abs(found.mean - np.log(20)) > 0.01


@pytest.mark.parametrize(
    ("log_density", "words"),
    [
        (
            lambda z: jnp.where(z[0] > 3, jnp.nan, -0.5 * z[0] ** 2),
            r"NaN or infinite at z = \(3\.",
        ),
        (
            lambda z: jnp.where(z[0] > 3, jnp.inf, -0.5 * z[0] ** 2),
            r"NaN or infinite at z = \(3\.",
        ),
        (lambda z: jnp.where(z[0] > jnp.inf, 0.0, -jnp.inf), "-inf all over the grid"),
        (lambda z: 0.0 * z[0], "does not fall towards the ends"),
        (lambda z: z[0], "does not fall towards the ends"),
    ],
)
def test_what_is_no_density_is_no_zero(log_density, words):
    with pytest.raises(NonFiniteError, match=words):
        exact(tb.Target(log_density, 1), points=127)


def test_heavy_tails_beyond_the_grid_count():
    for dof, least in ((1.0, 1e-5), (3.0, 1e-9)):
        cauchy = tb.Target(lambda z, dof=dof: jnp.asarray(dist.StudentT(dof).log_prob(z[0])), 1)
        found = exact(cauchy)
        assert found.error.item() > abs(found.mean) > least


LAWS = {
    "beta": (dist.Beta(0.1, 0.3), stats.beta(0.1, 0.3)),
    "proportion": (dist.BetaProportion(0.3, 0.5), stats.beta(0.15, 0.35)),
    "dirichlet": (dist.Dirichlet(jnp.array([0.1, 0.5])), None),
    "kumaraswamy": (dist.Kumaraswamy(0.5, 0.2), None),
    "gamma": (dist.Gamma(0.1, 2.0), stats.gamma(0.1, scale=0.5)),
    "chi2": (dist.Chi2(0.5), stats.chi2(0.5)),
    "weibull": (dist.Weibull(2.0, 0.3), stats.weibull_min(0.3, scale=2)),
    "uniform": (dist.Uniform(-1.0, 3.0), stats.uniform(-1, 4)),
    "inverse gamma": (dist.InverseGamma(3.0, 2.0), stats.invgamma(3, scale=2)),
    "moved beta": (
        dist.TransformedDistribution(
            dist.Beta(0.3, 0.2), dist.transforms.AffineTransform(2.0, 3.0)
        ),
        stats.beta(0.3, 0.2, 2, 3),
    ),
    "half-normal": (dist.HalfNormal(1.0), stats.halfnorm()),
    "levy": (dist.Levy(0.0, 1.0), stats.levy()),
    "pareto": (dist.Pareto(1.0, 2.0), stats.pareto(2)),
    "expanded": (dist.Beta(0.1, 0.3).expand([1]).to_event(1), None),
}


@pytest.mark.stat
@pytest.mark.parametrize("name", LAWS)
def test_a_law_in_single_precision_is_normalised_and_drawn(name):
    fn, of_values = LAWS[name]
    law = law_of(fn, fn.shape())
    z, step = np.linspace(-600, 600, 60_001, retstep=True)
    log_p = jax.jit(jax.vmap(lambda z: law.log_density(z.reshape(law.shape))))
    p = np.exp(np.asarray(log_p(jnp.asarray(z, jnp.float32)), np.float64))
    assert np.sum(p) * step == pytest.approx(1, abs=1e-5)
    draws = jax.vmap(lambda key: law.draw(key))(jax.random.split(jax.random.key(0), 10_000))
    for at in (-9.0, -1.0, 1.0, 9.0):
        below = np.asarray(draws).ravel() < at
        share = np.sum(np.where(z < at, p, 0)) * step
        assert abs(np.mean(below) - share) < 4.9 * np.sqrt(share * abs(1 - share) / 10_000) + 2e-4
    if of_values is not None:
        values = np.asarray(jax.vmap(law.value)(draws))
        assert np.all(np.isfinite(values))
        assert abs(z_of_mean(of_values.cdf(np.float64(values)), 0.5)) < LIMIT


def test_expanded_and_moved_sites_have_a_law_for_every_value():
    fn = dist.Beta(jnp.array([0.1, 2.0]), 3.0).expand([4, 2]).to_event(1)
    law = law_of(fn, fn.shape())
    z = jax.random.normal(jax.random.key(0), (4, 2))
    x = law.value(z)
    with jax.numpy_rank_promotion("allow"):
        plain = jnp.sum(fn.log_prob(x)) + jnp.sum(jnp.log(x) + jnp.log1p(-x))
        np.testing.assert_allclose(law.log_density(z), plain, rtol=1e-5)
    simplex = dist.Dirichlet(jnp.array([0.5, 1.0, 2.0])).expand([5])
    law = law_of(simplex, simplex.shape())
    through = dist.biject_to(dist.constraints.simplex)
    z = jax.random.normal(jax.random.key(1), (5, 2))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        x = law.value(z)
        np.testing.assert_allclose(x, through(z), rtol=1e-5)
        plain = jnp.sum(simplex.log_prob(x) + through.log_abs_det_jacobian(z, x))
        np.testing.assert_allclose(law.log_density(z), plain, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.stat
def test_the_estimators_see_the_same_density():
    model, truth = coins(0.1, 10)
    target = tb.from_numpyro(model)

    class Wide(tb.distributions.AbstractExplicit):
        """Student's t, wide enough for tails that fall as exp(-z / 10)."""

        @property
        def support(self):
            return "real"

        def sample(self, given, *, key):
            return 15.0 + 15.0 * jax.random.t(key, 2.0, (1,))

        def log_prob(self, value, given):
            with jax.numpy_dtype_promotion("standard"):
                return dist.StudentT(2.0, 15.0, 15.0).log_prob(value[0])

        def mean(self, given):
            return jnp.full(1, 15.0)

    for found in (
        evaluate(target, Wide(), k=20_000),
        annealed(target, temperatures=50, chains=400, leapfrog=2),
        adaptive(target, start=Wide()),
    ):
        assert abs(found.mean - truth) < LIMIT * found.stderr_draws
        assert found.stderr_draws < 0.1


def test_a_model_that_insists_on_single_precision_is_refused_in_words():
    def insists(z):
        return -0.5 * jax.lax.mul(z[0], jnp.float32(1.0)) ** 2

    with pytest.raises(UsageError, match="double precision, and log p\\(x, z\\) could not be"):
        exact(tb.Target(insists, 1))
