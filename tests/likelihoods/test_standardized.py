"""Models that standardise their data: densities, draws and means in the data's own units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.distributions import BottomLayer, DiagonalNormal
from tightbound.evidence.rounding import rounding
from tightbound.likelihoods import Standardized
from tightbound.models.posteriors import KINDS
from tightbound.models.standardization import inside, standardization
from tightbound.networks import MLP, Dense, Fixed, Standardization, Standardizing

SHIFT = np.array([1000.0, -3e-3, 0.5, 0.0])
SCALE = np.array([2.0, 1e-3, 1e4, 1.0])
UNITS = Standardization(Fixed.of(SHIFT), Fixed.of(SCALE))
INNER = linear_gaussian.one_layer_model()
MODEL = tb.Model(INNER.prior, Standardized(INNER.likelihood, UNITS))
RNG = np.random.default_rng(5)
TABLE = (SHIFT + SCALE * RNG.standard_normal((40, 4))).astype(np.float32)
Z = jnp.array([0.3, -1.2])


def f64(values):
    return np.asarray(values, np.float64)


def visible(z):
    """p(x|z) by hand, in float64 and the data's units."""
    affine = linear_gaussian.read(INNER.likelihood)
    shift, scale = f64(UNITS.shift.values), f64(UNITS.scale.values)
    mean = affine.matrix @ f64(z) + affine.offset
    return stats.norm(shift + scale * mean, scale * np.sqrt(affine.variance))


def test_the_density_is_that_of_the_data():
    truth = visible(Z).logpdf(f64(TABLE)).sum(axis=1)
    found = jax.jit(jax.vmap(lambda x: MODEL.likelihood.log_prob(x, Z)))(TABLE)
    np.testing.assert_allclose(found, truth, rtol=1e-5)


def test_draws_and_means_are_those_of_the_data():
    keys = jax.random.split(jax.random.key(3), 4000)
    likelihood = MODEL.likelihood
    x, log_p = jax.jit(jax.vmap(lambda key: likelihood.sample_and_log_prob(Z, key=key)))(keys)
    again = jax.jit(jax.vmap(lambda key: likelihood.sample(Z, key=key)))(keys)
    np.testing.assert_array_equal(x, again)
    truth = visible(Z)
    # Single precision tells values at 1000 apart by 6e-5.
    np.testing.assert_allclose(log_p, truth.logpdf(f64(x)).sum(axis=1), atol=2e-3)
    np.testing.assert_allclose(MODEL.likelihood.mean(Z), truth.mean(), rtol=1e-6)
    # False alarms: p < 1e-7 for each of 4 columns.
    assert min(stats.kstest(u, "uniform").pvalue for u in truth.cdf(f64(x)).T) > 1e-7


def test_each_column_has_its_share_of_the_density():
    class Each(DiagonalNormal):
        def log_prob_each(self, value, given):
            location, scale = self.parameters(given)
            return jax.scipy.stats.norm.logpdf(value, location, scale)

    inner = INNER.likelihood
    each = Standardized(Each(inner.trunk, inner.location, inner.log_scale), UNITS)
    found = each.log_prob_each(jnp.asarray(TABLE[0]), Z)
    np.testing.assert_allclose(found, visible(Z).logpdf(f64(TABLE[0])), rtol=1e-5)


def test_a_density_of_one_column_integrates_to_one():
    units = Standardization(Fixed.of(np.array([7.0])), Fixed.of(np.array([1e-3])))
    one = linear_gaussian.affine_normal(np.array([[0.8, 0.1]]), np.array([0.2]), np.array([0.5]))
    model = tb.Model(INNER.prior, Standardized(one, units))
    x = np.linspace(7 - 8e-3, 7 + 8e-3, 2001).astype(np.float32)[:, None]
    density = np.exp(tb.evidence.exact(model, x).log_evidence)
    assert np.trapezoid(density, f64(x[:, 0])) == pytest.approx(1.0, abs=1e-4)


def test_the_closed_form_sees_through_the_units():
    shift, scale = f64(UNITS.shift.values), f64(UNITS.scale.values)
    truth = linear_gaussian.log_evidence(INNER, (f64(TABLE) - shift) / scale) - np.log(scale).sum()
    found = tb.evidence.exact(MODEL, TABLE)
    assert "closed form" in found.method
    np.testing.assert_allclose(found.log_evidence, truth, rtol=1e-9)


def test_an_estimate_agrees_with_the_closed_form_within_its_bar():
    truth = tb.evidence.exact(MODEL, TABLE).log_evidence
    found = tb.evaluate(MODEL, INNER.prior, TABLE, k=2000)
    assert np.all(np.abs(found.log_evidence - truth) < LIMIT * found.stderr + found.rounding)


@pytest.mark.parametrize(("scale", "shift"), [(0.24, 0.0), (1e-6, 0.0), (1e-3, 1000.0)])
def test_the_rounding_that_is_stated_covers_the_log_jacobian(scale, shift):
    """At 0.24 it cancels the density of the standardised values, which is in the hundreds."""
    d, n = 300, 50
    units = Standardization(Fixed.of(np.full(d, shift)), Fixed.of(np.full(d, scale)))
    rng = np.random.default_rng(0)
    inner = linear_gaussian.affine_normal(rng.normal(size=(d, 2)), np.zeros(d), np.ones(d))
    likelihood = Standardized(inner, units)
    x = (shift + scale * rng.normal(size=(n, d))).astype(np.float32)
    truth = stats.norm(f64(units.shift.values), f64(units.scale.values)).logpdf(f64(x)).sum(axis=1)
    truth = truth + 2 * stats.norm.logpdf(0)
    model, z = tb.Model(INNER.prior, likelihood), jnp.zeros((n, 2))
    away = np.abs(f64(jax.jit(jax.vmap(model.log_joint))(jnp.asarray(x), z)) - truth)
    bar = np.asarray(jax.jit(lambda x, z: rounding(model, x, z))(jnp.asarray(x), z))
    assert np.all(away <= bar)
    assert shift or np.max(bar) < 0.01


@pytest.mark.parametrize("layers", [1, 2])
def test_an_autoencoder_standardises_by_its_training_data(layers):
    model, q = tb.autoencoder(TABLE, latent=2, hidden=(3,), layers=layers, likelihood="gaussian")
    units = standardization(model)
    np.testing.assert_allclose(units.shift.values, f64(TABLE).mean(axis=0), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(units.scale.values, f64(TABLE).std(axis=0), rtol=1e-6)
    assert isinstance(model.likelihood.likelihood, BottomLayer if layers == 2 else DiagonalNormal)
    first = q if layers == 1 else q.conditionals[0]
    u = inside(model, jnp.asarray(TABLE))
    np.testing.assert_allclose(f64(u).mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(f64(u).std(axis=0), 1, rtol=1e-4)
    np.testing.assert_array_equal(first.trunk(jnp.asarray(TABLE[0])), first.trunk.network(u[0]))


def test_holes_do_not_count_and_the_shift_stands_for_one():
    x = TABLE.copy()
    x[::3, 0] = np.nan
    x[:, 3] = np.nan
    units = Standardization.of(x)
    np.testing.assert_allclose(units.shift.values[0], np.nanmean(f64(x)[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(units.scale.values[0], np.nanstd(f64(x)[:, 0]), rtol=1e-6)
    assert (units.shift.values[3], units.scale.values[3]) == (0, 1)
    np.testing.assert_array_equal(units(units.shift.values), np.zeros(4))


def test_a_constant_column_divides_by_one():
    x = TABLE.copy()
    x[:, 2] = 0.1
    units = Standardization.of(x)
    assert (units.shift.values[2], units.scale.values[2]) == (x[0, 2], 1)
    assert np.all(np.isfinite(units(jnp.asarray(x))))


@pytest.mark.parametrize("scale", [1e-35, 1e35])
def test_a_column_out_of_reach_is_refused(scale):
    x = (RNG.standard_normal((20, 2)) * [1.0, scale]).astype(np.float32)
    with pytest.raises(UsageError, match="column 1 .* has the standard deviation .* its unit"):
        tb.autoencoder(x, likelihood="gaussian")


EXACTLY = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]], np.float32)


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (EXACTLY, {"likelihood": "gaussian"}),
        (EXACTLY, {"likelihood": "gaussian", "posterior": "implicit"}),
        (np.abs(EXACTLY), {"likelihood": "gaussian_unit_mean"}),
        (np.abs(EXACTLY), {"likelihood": "bernoulli"}),
    ],
)
def test_nothing_is_wrapped_where_nothing_needs_it(x, options):
    parts = tb.autoencoder(x, latent=1, hidden=(3,), **options)
    assert not any(isinstance(leaf, Fixed) for leaf in _nodes(parts, Fixed))


def _nodes(tree, kind):
    return jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_posterior_of_ones_own_sees_the_models_units(kind):
    """The same draws as those of the model of standardised data, given standardised data."""
    q = tb.posterior(MODEL, kind, hidden=(4,), key=2)
    bare = tb.posterior(INNER, kind, hidden=(4,), key=2)
    x, key = jnp.asarray(TABLE[0]), jax.random.key(1)
    both = q.sample(x, key=key), bare.sample(inside(MODEL, x), key=key)
    # A flow begins at moments of the model's draws, which are rounded otherwise.
    np.testing.assert_allclose(*both, rtol=1e-5 if kind == "flow" else 0)
    assert any(isinstance(node, Standardizing) for node in _nodes(q, Standardizing))


def test_networks_of_ones_own_see_standardised_values():
    seen = []

    def encoder(x):
        seen.append(x)
        return x

    _, q = tb.autoencoder(TABLE, latent=2, encoder=encoder, likelihood="gaussian")
    q.mean(jnp.asarray(TABLE[0]))
    expected = (TABLE[0] - TABLE.mean(axis=0, dtype=np.float64)) / TABLE.std(axis=0, dtype=float)
    np.testing.assert_allclose(seen[-1], expected, atol=1e-4)


def test_a_likelihood_of_other_numbers_is_refused():
    head = Dense(jnp.zeros((2, 4)), jnp.zeros(4))
    with pytest.raises(UsageError, match="real numbers .* got one whose values are unit"):
        Standardized(DiagonalNormal(MLP((), "tanh"), head, head, unit_mean=True), UNITS)
