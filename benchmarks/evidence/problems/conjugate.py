"""Models with conjugate priors, on the supports that their parameters have."""

from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Float
from scipy import special, stats

import tightbound as tb
from benchmarks.evidence.posing import LOG_2PI, log_normal_density, sampled
from benchmarks.evidence.priors import beta_of_one, chain, exponential, flat_simplex, normal
from benchmarks.evidence.problem import Problem, functions, of_sites

_RNG = np.random.default_rng(11)


def _design(n: int, dim: int) -> Float[np.ndarray, "n dim"]:
    return np.round(_RNG.standard_normal((n, dim)), 3)


def linear_regression(dim: int, n: int, *, held: bool) -> Problem:
    """With beta ~ N(0, I) and y ~ N(X beta, 1/4), y is normal."""
    x = _design(n, dim)
    y = np.round(x @ _RNG.standard_normal(dim) + 0.5 * _RNG.standard_normal(n), 3)

    def model() -> None:
        beta = numpyro.sample("beta", dist.Normal(jnp.zeros(dim), 1.0).to_event(1))
        mean = jnp.asarray(x, jnp.float32) @ beta
        numpyro.sample("y", dist.Normal(mean, 0.5).to_event(1), obs=jnp.asarray(y, jnp.float32))

    def likelihood(beta: Any, xp: ModuleType) -> Any:
        return xp.sum(log_normal_density(y, beta @ x.T, 0.5), axis=-1)

    covariance: Any = x @ x.T + 0.25 * np.eye(n)
    truth = float(stats.multivariate_normal.logpdf(y, np.zeros(n), covariance))
    prior = normal(0.0, 1.0, dim)
    return sampled(f"linear-{dim}", prior, model, likelihood, truth, CLOSED, smooth=True, held=held)


def unknown_noise() -> Problem:
    """With h ~ Exponential(1), beta ~ N(0, I/h), y ~ N(X beta, I/h), y is Student's, 2 d.o.f."""
    dim, n = 4, 15
    x = _design(n, dim)
    y = np.round(x @ _RNG.standard_normal(dim) + 0.7 * _RNG.standard_normal(n), 3)

    def model() -> None:
        h = numpyro.sample("h", dist.Exponential(1.0))
        eta = numpyro.sample("eta", dist.Normal(jnp.zeros(dim), 1.0).to_event(1))
        scale = 1 / jnp.sqrt(h)
        mean = jnp.asarray(x, jnp.float32) @ eta * scale
        numpyro.sample("y", dist.Normal(mean, scale).to_event(1), obs=jnp.asarray(y, jnp.float32))

    def likelihood(values: Any, xp: ModuleType) -> Any:
        h, eta = values[..., :1], values[..., 1:]
        away = (xp.sqrt(h) * y - eta @ x.T) ** 2
        return 0.5 * xp.sum(xp.log(h) - LOG_2PI - away, axis=-1)

    shape: Any = x @ x.T + np.eye(n)
    truth = float(stats.multivariate_t.logpdf(y, np.zeros(n), shape, df=2))
    prior = chain(exponential(1.0, 1), normal(0.0, 1.0, dim))
    return sampled("linear-unknown-noise", prior, model, likelihood, truth, CLOSED, smooth=True)


def gamma_poisson() -> Problem:
    """Six rates ~ Exponential(1/3), with four counts each."""
    counts = _RNG.poisson(np.array([0.2, 1, 2, 4, 8, 0.5])[:, None], (6, 4))
    total, constant = counts.sum(1).astype(float), -np.sum(special.gammaln(counts + 1))

    def model() -> None:
        rate = numpyro.sample("rate", dist.Exponential(jnp.full(6, 1 / 3)).to_event(1))
        numpyro.sample(
            "counts",
            dist.Poisson(jnp.expand_dims(rate, 1)).expand([6, 4]).to_event(2),
            obs=jnp.asarray(counts),
        )

    def likelihood(rate: Any, xp: ModuleType) -> Any:
        return xp.sum(total * xp.log(rate) - 4 * rate, axis=-1) + constant

    each = special.gammaln(total + 1) - (total + 1) * np.log(4 + 1 / 3) - np.log(3)
    truth = float(np.sum(each) + constant)
    prior = exponential(1 / 3, 6)
    return sampled("gamma-poisson", prior, model, likelihood, truth, CLOSED, smooth=True)


def beta_binomial() -> Problem:
    """Eight shares ~ Beta(1, 3), with a binomial count each: some all or none."""
    trials = np.array([5, 9, 12, 3, 20, 7, 15, 50])
    heads = np.array([0, 2, 12, 1, 4, 0, 9, 1])
    constant = np.sum(
        special.gammaln(trials + 1)
        - special.gammaln(heads + 1)
        - special.gammaln(trials - heads + 1)
    )

    def model() -> None:
        p = numpyro.sample("p", dist.Beta(jnp.ones(8), jnp.full(8, 3.0)).to_event(1))
        law = dist.Binomial(total_count=jnp.asarray(trials), probs=p).to_event(1)
        numpyro.sample("heads", law, obs=jnp.asarray(heads))

    def likelihood(p: Any, xp: ModuleType) -> Any:
        sp = functions(xp)
        each = sp.xlogy(1.0 * heads, p) + sp.xlog1py(1.0 * (trials - heads), -p)
        return xp.sum(each, axis=-1) + constant

    each = special.betaln(1 + heads, 3 + trials - heads) - special.betaln(1, 3)
    truth = float(np.sum(each) + constant)
    prior = beta_of_one(3.0, 8)
    return sampled("beta-binomial", prior, model, likelihood, truth, CLOSED, smooth=True, held=True)


def dirichlet_multinomial() -> Problem:
    """Six shares under a flat prior, and one multinomial count; the last share is what is left."""
    counts = np.array([0, 3, 8, 1, 21, 4])
    constant = special.gammaln(counts.sum() + 1) - np.sum(special.gammaln(counts + 1))

    def model() -> None:
        shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(6)))
        law = dist.Multinomial(total_count=int(counts.sum()), probs=shares)
        numpyro.sample("counts", law, obs=jnp.asarray(counts))

    def likelihood(x: Any, xp: ModuleType) -> Any:
        # One minus the sum is 0, or below by rounding, in a corner of the cube.
        last = xp.maximum(1 - xp.sum(x, axis=-1), 1e-300 if xp is np else 1e-30)
        known = xp.sum(functions(xp).xlogy(1.0 * counts[:-1], x), axis=-1)
        return known + float(counts[-1]) * xp.log(last) + constant

    total = counts.sum()
    truth = float(
        constant + special.gammaln(6) + np.sum(special.gammaln(counts + 1))
        - special.gammaln(total + 6)
    )  # fmt: skip
    return Problem(
        "dirichlet-multinomial",
        flat_simplex(5),
        (likelihood,),
        truth,
        CLOSED,
        lambda: (tb.from_numpyro(model), None),
        _all_but_the_last,
        smooth=True,
        held=False,
    )


def _all_but_the_last(target: tb.Model, z: Any) -> Any:
    return of_sites(target, z)[:-1]


CLOSED = "closed form"

PROBLEMS: list[Problem] = [
    linear_regression(5, 20, held=False),
    linear_regression(20, 60, held=True),
    unknown_noise(),
    gamma_poisson(),
    beta_binomial(),
    dirichlet_multinomial(),
]
