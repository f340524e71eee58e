"""NumPyro models as targets: densities of NumPyro itself, and evidence in closed form.

False alarms: log-evidence at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
import pytest
from numpyro import distributions as dist
from numpyro.infer.util import potential_energy
from scipy import special, stats
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.evidence import prior_sampling

Y = np.array([0.3, 1.9, -0.4], np.float32)
COINS = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0], np.float32)
COUNTS = np.array([3, 0, 2, 4], np.int32)


def normal(y):
    mean = numpyro.sample("mean", dist.Normal(0.0, 2.0))
    with numpyro.plate("data", len(y)):
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def beta_bernoulli(coins):
    p = numpyro.sample("p", dist.Beta(2.0, 3.0))
    numpyro.sample("coins", dist.Bernoulli(p).expand([len(coins)]).to_event(1), obs=coins)


def gamma_poisson():
    rate = numpyro.sample("rate", dist.Gamma(2.0, 0.5))
    numpyro.deterministic("twice", 2.0 * rate)
    numpyro.sample("counts", dist.Poisson(rate).expand([4]).to_event(1))


def many_supports(y):
    mean = numpyro.sample("mean", dist.Normal(jnp.zeros(2), 1.0).to_event(1))
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    with numpyro.plate("rows", 2):
        numpyro.sample("share", dist.Uniform(-1.0, scale))  # a support that moves
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    factor = numpyro.sample("factor", dist.LKJCholesky(3, 2.0))
    numpyro.deterministic("correlation", factor @ factor.T)
    numpyro.factor("tilt", weights[0])
    numpyro.sample("y", dist.Normal(mean.sum(), scale), obs=y)


CONJUGATE = {
    "normal": (
        lambda: tb.from_numpyro(normal, Y),
        stats.multivariate_normal(np.zeros(3), np.eye(3) + 4.0).logpdf(Y),
    ),
    "beta-bernoulli": (
        lambda: tb.from_numpyro(beta_bernoulli, coins=COINS),
        special.betaln(2 + 6, 3 + 2) - special.betaln(2, 3),
    ),
    "gamma-poisson": (
        lambda: tb.from_numpyro(numpyro.handlers.condition(gamma_poisson, {"counts": COUNTS})),
        special.gammaln(2 + 9)
        - special.gammaln(2)
        + 2 * np.log(0.5)
        - (2 + 9) * np.log(4.5)
        - np.sum(special.gammaln(COUNTS + 1)),
    ),
}


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("name", CONJUGATE)
def test_the_evidence_is_that_in_closed_form(name):
    make, truth = CONJUGATE[name]
    target = make()
    q = tb.posterior(target, "normal", hidden=(4,), key=1)
    run = tb.fit(
        target,
        q,
        objective=tb.objectives.elbo(),
        steps=400,
        batch_size=32,
        optimizer=optax.adam(1e-2),
    )
    ev = tb.evaluate(target, run.posterior, k=20_000, key=2)
    # The normal q is exact for the normal model: no error but rounding, and of the fit.
    assert abs(ev.mean - truth) < LIMIT * ev.stderr_draws + 1e-5
    assert ev.stderr_draws < 0.02
    assert ev.summary().startswith("log Z = ")
    from_prior = prior_sampling(target, k=50_000, key=3)
    assert abs(from_prior.mean - truth) < LIMIT * from_prior.stderr_draws
    assert from_prior.stderr_draws < 0.05


@pytest.mark.slow
def test_the_density_is_numpyros_own_and_comes_in_two_parts():
    y = np.float32(0.7)
    target = tb.from_numpyro(many_supports, y)
    assert target.dim == 2 + 1 + 2 + 2 + 3
    assert target.sites == {
        "mean": (2,), "scale": (), "share": (2,), "weights": (3,), "factor": (3, 3)
    }  # fmt: skip
    z = jax.random.normal(jax.random.key(0), (5, target.dim))
    joint = jax.jit(jax.vmap(lambda z: target.log_joint(jnp.zeros(0), z)))
    found = np.asarray(joint(z))
    names, cuts = ["mean", "scale", "share", "weights", "factor"], [2, 3, 5, 7]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):

        def energy(z):
            free = dict(zip(names, jnp.split(z, cuts), strict=True)) | {"scale": z[2]}
            return potential_energy(many_supports, (y,), {}, free)

        np.testing.assert_allclose(found, -jax.jit(jax.vmap(energy))(z), rtol=1e-5)
    values = target.constrain(z)
    assert values["correlation"].shape == (5, 3, 3)
    np.testing.assert_allclose(values["weights"].sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.einsum("nii->ni", values["correlation"]), 1.0, rtol=1e-5)
    assert np.all((values["share"] > -1) & (values["share"] < values["scale"][:, None]))
    likelihood = stats.norm.logpdf(0.7, values["mean"].sum(axis=1), values["scale"])
    observed = jax.jit(jax.vmap(lambda z: target.likelihood.log_prob(jnp.zeros(0), z)))
    np.testing.assert_allclose(observed(z), likelihood + values["weights"][:, 0], rtol=1e-4)
    for name, value in target.constrain(z[0]).items():
        np.testing.assert_allclose(value, values[name][0], rtol=1e-5)


@pytest.mark.stat
def test_the_prior_draws_and_its_density_agree():
    target = tb.from_numpyro(beta_bernoulli, coins=COINS)
    z = jax.jit(jax.vmap(lambda key: target.prior.sample(None, key=key)))(
        jax.random.split(jax.random.key(1), 20_000)
    )
    p = np.asarray(target.constrain(z)["p"])
    assert abs(z_of_mean(p, 0.4)) < LIMIT
    # E[N(z; 0, 2) / p(z)] over draws of p is one.
    log_p = np.asarray(jax.jit(jax.vmap(target.prior.log_prob))(z))
    assert abs(z_of_mean(np.exp(stats.norm.logpdf(z[:, 0], -0.5, 0.7) - log_p), 1.0)) < LIMIT


class Undrawn(dist.Normal):
    """A density without draws."""

    def sample(self, key, sample_shape=()):
        raise NotImplementedError


def test_a_prior_that_cannot_be_drawn_is_none():
    def model(y):
        mean = numpyro.sample("mean", Undrawn(0.0, 2.0))
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)

    target = tb.from_numpyro(model, 2.0)
    assert "samples" not in target.prior.offers
    expected = stats.norm.logpdf(0.3, 0, 2) + stats.norm.logpdf(1.7)
    np.testing.assert_allclose(
        target.log_joint(jnp.zeros(0), jnp.array([0.3])), expected, rtol=1e-6
    )


def test_what_is_no_density_is_refused_by_name():
    def discrete():
        numpyro.sample("which", dist.Categorical(jnp.ones(2) / 2))
        numpyro.sample("z", dist.Normal(0.0, 1.0))

    def fixed():
        numpyro.sample("atom", dist.Delta(1.0))

    def parameter():
        location = numpyro.param("location", 0.0)
        numpyro.sample("z", dist.Normal(location, 1.0))

    def part():
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        with numpyro.plate("data", 3, subsample_size=2):
            numpyro.sample("y", dist.Normal(mean, 1.0), obs=jnp.zeros(2))

    def observed():
        numpyro.sample("y", dist.Normal(0.0, 1.0), obs=1.0)

    def improper():
        rate = numpyro.sample("rate", dist.ImproperUniform(dist.constraints.positive, (), ()))
        numpyro.sample("y", dist.Exponential(rate), obs=2.0)

    def improper_underneath():
        flat = dist.ImproperUniform(dist.constraints.real, (), (2,))
        through = dist.transforms.AffineTransform(1.0, 2.0)
        numpyro.sample("flat", dist.TransformedDistribution(flat, through))

    def partly_observed():
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        seen = jnp.array([True, False, True])
        with numpyro.plate("data", 3):
            numpyro.sample("y", dist.Normal(mean, 1.0), obs=jnp.asarray(Y), obs_mask=seen)

    def masked():
        with numpyro.handlers.mask(mask=False):
            numpyro.sample("mean", dist.Normal(0.0, 1.0))

    def scaled():
        with numpyro.handlers.scale(scale=2.0):
            mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=2.0)

    def tempered():
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        with numpyro.handlers.scale(scale=0.5):
            numpyro.sample("y", dist.Normal(mean, 1.0), obs=2.0)

    def hurdle():
        numpyro.sample("amount", dist.HurdleGamma(0.3, 2.0, 1.0))

    for model, words in (
        (discrete, "latents are discrete.*: which$"),
        (fixed, "a point mass.*: atom$"),
        (hurdle, "a point mass.*: amount$"),
        (improper, "no finite integral.*: rate$"),
        (improper_underneath, "no finite integral.*: flat$"),
        (partly_observed, "numpyro.handlers.mask around the observed.*: y_unobserved$"),
        (masked, "latents are masked.*: mean$"),
        (scaled, "latents are scaled.*: mean$"),
        (tempered, "no evidence of the data.*: y$"),
        (parameter, "without a prior.*: location$"),
        (part, "a random part of their data.*: data$"),
        (observed, "all observed: there is nothing to infer"),
    ):
        with pytest.raises(UsageError, match=words):
            tb.from_numpyro(model)
    with pytest.raises(UsageError, match=r"expected z of shape \(..., 1\), got \(2,\)"):
        tb.from_numpyro(normal, Y).constrain(jnp.zeros(2))
