"""Units change neither the integral of a density nor what it is a density of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import tightbound as tb
from tests.oracles import linear_gaussian as oracle
from tightbound.core.items import Datum
from tightbound.distributions import NoPrior, from_functions
from tightbound.evidence.ladder.units import Units, Whitened

X = np.array([0.7, -1.1, 0.4, 1.3], np.float32)
FACTOR = np.array([[0.8, 0.0], [-0.5, 1.7]])
CENTRE = np.array([0.3, -0.4])


def log_integral(density, dim, width=14.0, points=281):
    """Log of the integral over R^dim by the trapezoid rule, on a grid for smooth densities."""
    grid = np.linspace(-width, width, points, dtype=np.float32)
    u = np.stack(np.meshgrid(*[grid] * dim, indexing="ij"), -1).reshape(-1, dim)
    values = np.exp(np.asarray(jax.jit(jax.vmap(density))(u), np.float64))
    for _ in range(dim):
        values = integrate.trapezoid(values.reshape(-1, points), dx=grid[1] - grid[0], axis=-1)
    return float(np.log(values.item()))


def test_the_integral_is_that_of_z_in_one_dimension():
    model = tb.Target(lambda z: -(z[0] ** 4) - jnp.cos(z[0]), 1)
    truth = integrate.quad(lambda z: np.exp(-(z**4) - np.cos(z)), -6, 6)[0]
    units = Units.of(model, jnp.zeros(0), np.array([1.3]), np.array([[0.2]]))
    assert log_integral(units.log_density, 1, 30, 3001) == pytest.approx(np.log(truth), abs=1e-4)


def test_the_integral_is_the_evidence_of_a_model():
    model = oracle.one_layer_model()
    units = Units.of(model, jnp.asarray(X), CENTRE, FACTOR)
    truth = oracle.log_evidence(model, X[None]).item()
    assert log_integral(units.log_density, 2) == pytest.approx(truth, abs=1e-4)


def test_holes_are_integrated_out():
    model = oracle.one_layer_model()
    observed = np.array([True, False, True, True])
    x = Datum(jnp.asarray(X * observed), jnp.asarray(observed))
    units = Units.of(model, x, CENTRE, FACTOR)
    p = oracle.read(model.likelihood)
    covariance = p.matrix @ p.matrix.T + np.diag(p.variance)
    known = np.ix_(observed, observed)
    truth = stats.multivariate_normal(p.offset[observed], covariance[known]).logpdf(X[observed])
    assert log_integral(units.log_density, 2) == pytest.approx(truth, abs=1e-4)


def test_a_condition_goes_to_the_likelihood():
    likelihood = from_functions(
        log_prob=lambda x, given: jnp.sum(jax.scipy.stats.norm.logpdf(x, given[0] + given[1])),
        dim=1,
    )
    model = tb.Model(tb.distributions.StandardNormal(1), likelihood, condition=1)
    x = Datum(jnp.asarray([0.5]), None, jnp.asarray([2.0]))
    units = Units.of(model, x, CENTRE[:1], FACTOR[:1, :1])
    # x - c ~ N(0, 2).
    truth = -0.5 * 1.5**2 / 2 - 0.5 * np.log(4 * np.pi)
    assert log_integral(units.log_density, 1) == pytest.approx(truth, abs=1e-4)


@pytest.mark.parametrize("layers", [1, 2])
def test_there_and_back_again(layers, getkey):
    model = oracle.exact_parts(layers).model
    z = model.prior.sample(None, key=getkey())
    dim = sum(leaf.size for leaf in jax.tree.leaves(z))
    factor = np.eye(dim) + 0.3 * np.random.default_rng(0).standard_normal((dim, dim))
    units = Units.of(model, jnp.asarray(X), np.arange(dim), factor)
    assert units.dim == dim
    back = units.z(units.u(z))
    assert jax.tree.structure(back) == jax.tree.structure(z)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), back, z)
    log_volume = np.linalg.slogdet(factor)[1]
    expected = model.log_joint(jnp.asarray(X), z) + log_volume
    assert units.log_density(units.u(z)) == pytest.approx(float(expected), rel=1e-4)


def test_the_target_of_units_is_the_model_in_them():
    model = oracle.one_layer_model()
    units = Units.of(model, jnp.asarray(X), CENTRE, FACTOR)
    target, u, nothing = Whitened(units), jnp.asarray([0.2, -1.0]), jnp.zeros(0)
    assert target.log_joint(nothing, u) == pytest.approx(float(units.log_density(u)), abs=1e-5)
    assert log_integral(lambda u: target.prior.log_prob(u), 2) == pytest.approx(0, abs=1e-4)
    drawn = jax.vmap(lambda key: target.prior.sample(key=key))(
        jax.random.split(jax.random.key(0), 4000)
    )
    z = np.asarray(drawn) @ FACTOR.T + CENTRE
    # Draws of N(0, I): means and second moments within 4.9 standard errors.
    assert np.abs(z.mean(axis=0)).max() < 4.9 / np.sqrt(4000)
    assert np.abs((z**2).mean(axis=0) - 1).max() < 4.9 * np.sqrt(2 / 4000)
    bare = Whitened(Units.of(tb.Target(lambda z: -jnp.sum(z**2), 2), nothing, CENTRE, FACTOR))
    assert isinstance(bare.prior, NoPrior)
