"""Mixtures of table rows against NumPy written out, closed forms, and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tightbound.data import Schema
from tightbound.data.schema import Column
from tightbound.distributions import Categorical, GaussianComponents
from tightbound.likelihoods import TableComponents, Warps
from tightbound.models import Model, table_component
from tightbound.training.components import log_evidence
from tightbound.training.mixture import as_mixture, as_model, seen

COLUMNS = (
    Column("size", "real"),
    Column("kind", "category", levels=("a", "b", "c")),
    Column("price", "positive"),
    Column("rate", "bounded", low=0.0, high=100.0),
    Column("flag", "binary", levels=("no", "yes")),
)
SCHEMA = Schema(COLUMNS)


def rows(n=40, seed=0, holes=0.3):
    rng = np.random.default_rng(seed)
    x = np.stack(
        [
            rng.normal(3, 2, n),
            rng.integers(0, 3, n),
            rng.lognormal(1, 0.7, n),
            rng.uniform(0, 100, n),
            rng.integers(0, 2, n),
        ],
        axis=1,
    )
    x[0, 3], x[1, 3] = 0, 100  # ends are values like others
    x[rng.random(x.shape) < holes] = np.nan
    return x.astype(np.float32)


def mixture(k=2, seed=1):
    """Components that were not fitted to anything."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(k, 3, 3)) * 0.4 + np.eye(3)
    covariances = factors @ np.swapaxes(factors, 1, 2)
    warps = Warps.of(rows(holes=0.0)[:, [0, 2, 3]], [COLUMNS[i] for i in (0, 2, 3)])
    likelihood = TableComponents(
        GaussianComponents.from_covariances(
            jnp.asarray(rng.normal(size=(k, 3)), jnp.float32), jnp.asarray(covariances, jnp.float32)
        ),
        tuple(jnp.asarray(rng.normal(size=(k, n)), jnp.float32) for n in (3, 2)),
        warps,
        (False, False, False),
        ((0, 2, 3), (1, 4)),
        SCHEMA.names,
    )
    return Model(Categorical(jnp.asarray(rng.normal(size=k), jnp.float32)), likelihood)


def written_out(model, x):
    """Log p(x_observed) of one row in NumPy."""
    of = model.likelihood
    t = np.array([x[0], np.log(x[2]), np.nan])
    share = 0.005 + 0.99 * x[3] / 100
    t[2] = np.log(share / (1 - share))
    shift, scale = (np.asarray(a.values, np.float64) for a in (of.warps.shift, of.warps.scale))
    u = (t - shift) / scale
    slope = np.array([1, 1 / x[2], 0.0099 / (share * (1 - share))]) / scale
    known = ~np.isnan(u)
    total = []
    log_shares = np.asarray(jax.nn.log_softmax(model.prior.logits), np.float64)
    for k, log_share in enumerate(log_shares):
        mean = np.asarray(of.numbers.means[k], np.float64)[known]
        covariance = np.asarray(of.numbers.covariances()[k], np.float64)[np.ix_(known, known)]
        value = log_share + np.sum(np.log(slope[known]))
        if known.any():
            value += stats.multivariate_normal.logpdf(u[known], mean, covariance)
        for place, logits in zip((1, 4), of.logits, strict=True):
            if not np.isnan(x[place]):
                p = np.asarray(jax.nn.softmax(logits[k]), np.float64)
                value += np.log(p[int(x[place])])
        total.append(value)
    return np.logaddexp.reduce(total)


def test_the_density_of_what_is_known_is_that_written_out():
    model, x = mixture(), rows()
    exact = tb.evidence.exact(model, x).log_evidence
    expected = [written_out(model, row) for row in x.astype(np.float64)]
    np.testing.assert_allclose(exact, expected, rtol=1e-5, atol=1e-4)
    # And that is what EM's sweeps make of it.
    data, log_slope = seen(model.likelihood, x)
    swept = log_evidence(as_mixture(model), data, len(x)) + log_slope
    np.testing.assert_allclose(swept, expected, rtol=1e-4, atol=1e-3)
    back = as_model(as_mixture(model), model.likelihood)
    np.testing.assert_allclose(tb.evidence.exact(back, x).log_evidence, exact, atol=1e-4)


@pytest.mark.slow
def test_what_is_missing_is_exact_given_what_is_known():
    model = mixture(k=1)
    x = jnp.array([2.0, 1.0, 0.0, 40.0, 0.0])
    observed = jnp.array([True, True, False, True, False])
    given = jnp.ones(1)
    of = model.likelihood
    # The logarithm of a price is normal given the others: its mean is in closed form.
    u = of.warps(jnp.array([2.0, 1.0, 40.0]))[0]
    mean = np.asarray(of.numbers.means[0], np.float64)
    s = np.asarray(of.numbers.covariances()[0], np.float64)
    gain = np.linalg.solve(s[np.ix_([0, 2], [0, 2])], s[[0, 2], 1])
    inner = mean[1] + gain @ (np.asarray(u)[[0, 2]] - mean[[0, 2]])
    left = s[1, 1] - gain @ s[[0, 2], 1]
    shift, scale = float(of.warps.shift.values[1]), float(of.warps.scale.values[1])
    expected = np.exp(shift + scale * inner + scale**2 * left / 2)
    found = of.mean_missing(x, observed, given)
    np.testing.assert_allclose(found[2], expected, rtol=1e-4)
    np.testing.assert_array_equal(found[np.array([0, 1, 3])], x[np.array([0, 1, 3])])
    assert found[4] == float(jnp.argmax(of.logits[1][0]))
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = jax.vmap(lambda key: of.sample_missing(x, observed, given, key=key))(keys)
    logs = (np.log(np.asarray(draws[:, 2], np.float64)) - shift) / scale
    # False alarms: 6e-5 each, by five standard errors.
    assert abs(logs.mean() - inner) < 5 * np.sqrt(left / 20_000)
    assert abs(logs.var() / left - 1) < 5 * np.sqrt(2 / 20_000)
    share = float(jax.nn.softmax(of.logits[1][0])[1])
    assert abs(float(draws[:, 4].mean()) - share) < 5 * np.sqrt(share * (1 - share) / 20_000)


def test_slopes_of_warps_are_finite_differences():
    warps = mixture().likelihood.warps
    with jax.enable_x64(True):
        x = jnp.array([1.5, 2.5, 30.0], jnp.float64)
        u, log_slope = warps(x)
        for j, step in itertools.product(range(3), (1e-5,)):
            moved = (warps(x.at[j].add(step))[0] - warps(x.at[j].add(-step))[0])[j] / (2 * step)
            assert float(jnp.log(moved)) == pytest.approx(float(log_slope[j]), abs=1e-6)
        np.testing.assert_allclose(warps.inverse(u), x, rtol=1e-6)


@pytest.mark.parametrize("centre", [12.3, 3.0])
def test_masses_of_whole_numbers_add_up_to_one(centre):
    schema = Schema((Column("cones", "count"),))
    x = np.arange(0, 30, dtype=np.float32)[:, None]
    model = table_component(x, schema)
    scale = float(model.likelihood.warps.scale.values[0])
    least = as_mixture(model)._replace(
        means=jnp.array([[(centre - float(model.likelihood.warps.shift.values[0])) / scale]]),
        covariances=jnp.array([[[0.5 / scale**2]]]),
    )
    narrow = as_model(least, model.likelihood)
    whole = np.arange(0, 60, dtype=np.float32)[:, None]
    masses = np.exp(tb.evidence.exact(narrow, whole).log_evidence)
    assert masses.sum() == pytest.approx(1, abs=3e-4)


def test_em_of_levels_is_counting():
    x = rows(200, holes=0.2)[:, [1, 4]]
    schema = Schema((COLUMNS[1], COLUMNS[4]))
    fitted = tb.em(table_component(x, schema), x, iterations=3).model
    for j, logits in enumerate(fitted.likelihood.logits):
        known = x[~np.isnan(x[:, j]), j].astype(int)
        counts = np.bincount(known, minlength=logits.shape[1])
        usual = (counts + 0.5) / (counts + 0.5).sum()
        # One datum more, with the start's frequencies.
        expected = counts / (counts.sum() + 1)
        expected = expected + usual / (counts.sum() + 1)
        np.testing.assert_allclose(jax.nn.softmax(logits[0]), expected, rtol=2e-3)


def test_probabilistic_pca_is_that_in_closed_form():
    # Tipping & Bishop 1999, eqs. 7 and 8: from the eigenvectors of the covariance.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) + 0.3 * rng.normal(size=(300, 5))
    x = x.astype(np.float32)
    start = tb.models.gaussian_mixture(x, components=1)
    fitted = tb.em(start, x, iterations=2, rank=2).model.likelihood.covariances()[0]
    values, vectors = np.linalg.eigh(np.cov(x.T.astype(np.float64), ddof=0))
    values[:3] = values[:3].mean()
    np.testing.assert_allclose(fitted, vectors * values @ vectors.T, atol=1e-4)
    with pytest.raises(tb.UsageError, match="rank from 0 to 4"):
        tb.em(start, x, rank=5)
