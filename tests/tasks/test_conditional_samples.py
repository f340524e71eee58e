"""Draws of x given some of its values, against closed forms and enumeration.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.models.test_holes import linear
from tests.models.test_labelled import NOISE, SHIFT, WEIGHT, exact
from tests.tasks.test_predictive import COVARIANCES, MEANS, SHARES, conditional, mixture
from tests.ztest import LIMIT
from tightbound.distributions import BernoulliComponents, Categorical
from tightbound.models import Model
from tightbound.tasks import conditional_samples

N = 4000


def check_moments(x, mean, covariance, part):
    """Means and covariances of draws of a normal; `part` is the variance of a mean of them."""
    x = x.astype(np.float64)
    assert np.all(np.abs(x.mean(axis=0) - mean) < LIMIT * np.sqrt(np.diag(covariance) * part))
    spread = np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2
    away = np.abs(np.cov(x.T) - covariance)
    assert np.all(away < LIMIT * np.sqrt(spread * part))


@pytest.mark.stat
def test_frequencies_of_binary_columns_are_those_of_enumeration():
    logits = np.array([[2.0, -1.0, 0.5, 1.0], [-1.5, 1.0, -0.5, 2.0], [0.2, -2.0, 1.5, -1.0]])
    shares = np.array([0.5, 0.2, 0.3])
    model = Model(
        Categorical(jnp.log(jnp.asarray(shares, jnp.float32))),
        BernoulliComponents(jnp.asarray(logits, jnp.float32)),
    )
    found = conditional_samples(model, None, {1: 1, "3": 0}, N, key=1)
    assert found.known.tolist() == [False, True, False, True]
    assert np.isinf(found.ess)
    assert not found.unsure
    assert (found.x[:, 1] == 1).all()
    assert (found.x[:, 3] == 0).all()
    p = 1 / (1 + np.exp(-logits))
    weight = shares * p[:, 1] * (1 - p[:, 3])
    assert found.log_p == pytest.approx(np.log(weight.sum()), abs=1e-5)
    for pair in itertools.product((0, 1), repeat=2):
        of_each = np.prod(np.where(pair, p[:, [0, 2]], 1 - p[:, [0, 2]]), axis=1)
        truth = weight @ of_each / weight.sum()
        share = (found.x[:, [0, 2]] == pair).all(axis=1).mean()
        assert abs(share - truth) < LIMIT * np.sqrt(truth * (1 - truth) / N)


@pytest.mark.stat
def test_of_a_mixture_of_normals():
    row = np.array([0.3, np.nan, np.nan])
    found = conditional_samples(mixture(), None, row, N, key=2)
    parts = [conditional(*of, row) for of in zip(MEANS, COVARIANCES, strict=True)]
    log_p = np.log(SHARES) + [part[0] for part in parts]
    share = np.exp(log_p - np.logaddexp.reduce(log_p))
    mean = share @ np.array([part[1] for part in parts])
    draws = found.x[:, 1:].astype(np.float64)
    assert np.all(np.abs(draws.mean(axis=0) - mean) < LIMIT * draws.std(axis=0) / np.sqrt(N))
    assert found.log_p == pytest.approx(np.logaddexp.reduce(log_p), abs=1e-5)


@pytest.mark.stat
def test_resampling_mends_a_proposal_that_is_off():
    model, _, affine = linear()
    row = np.array([1.0, np.nan, -0.5, np.nan])
    found = conditional_samples(model, model.prior, row, 2000, k=1000, key=3)
    assert 2000 < found.ess < 20_000
    covariance = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    log_p, mean, left = conditional(affine.offset, covariance, row)
    assert abs(found.log_p - log_p) < LIMIT * found.stderr
    check_moments(found.x[:, [1, 3]], mean, left, 1 / 2000 + 1 / found.ess)
    np.testing.assert_array_equal(found.x[:, [0, 2]], np.tile(row[[0, 2]], (2000, 1)))


@pytest.mark.stat
@pytest.mark.parametrize("first", [None, -1.0])
def test_of_a_label_and_a_value(first):
    model, posterior = exact()
    given = {"label": 2} if first is None else {"label": "2", 0: first}
    found = conditional_samples(model, posterior, given, N, k=3000, key=4)
    row = np.array([np.nan if first is None else first, np.nan, np.nan])
    covariance = (WEIGHT.T @ WEIGHT + NOISE**2 * np.eye(3)).astype(np.float64)
    log_p, mean, left = conditional(SHIFT[2].astype(np.float64), covariance, row)
    hole = np.isnan(row)
    check_moments(found.x[:, hole], mean, left, 1 / N + 1 / found.ess)
    if first is None:
        assert found.log_p == pytest.approx(0, abs=1e-6)
        assert found.ess == pytest.approx(40 * 3000)  # all weights are one
    else:
        assert abs(found.log_p - log_p) < LIMIT * found.stderr


def test_words_are_levels_and_names_columns():
    rows = np.random.default_rng(3).integers(0, 3, (60, 2)).astype(np.float32)
    levels = tb.data.Column("kind", "category", ("x", "y", "z"))
    schema = tb.data.Schema((levels, tb.data.Column("count", "count")))
    ds = tb.data.Dataset(
        "t", rows, rows, rows, (2,), "real", "", "", columns=schema.names, schema=schema
    )
    pair = tb.autoencoder(ds, likelihood="columns", latent=1, hidden=(2,))
    found = conditional_samples(*pair, {"kind": "y"}, 7, schema=schema)
    assert found.x.shape == (7, 2)
    assert (found.x[:, 0] == 1).all()
    assert (found.x[:, 1] >= 0).all()
    refused = [
        ({"kind": "w"}, "expected level of 'kind' to be one of x, y, z, got 'w'"),
        ({"knd": "x"}, "did you mean kind"),
        ({"count": "many"}, "expected a number for 'count', got 'many'"),
        ({"count": -1}, "support|count"),
        ({"kind": "x", "count": 3}, "left to draw"),
        ({"label": 1}, "column that is given"),
    ]
    for given, words in refused:
        with pytest.raises(tb.UsageError, match=words):
            conditional_samples(*pair, given, 7, schema=schema)


def test_what_cannot_be_drawn_is_refused():
    model, posterior, _ = linear()
    with pytest.raises(tb.UsageError, match=r"an item of shape \(4,\), got \(3,\)"):
        conditional_samples(model, posterior, np.zeros(3))
    with pytest.raises(tb.UsageError, match="from 0 to 3, got 4"):
        conditional_samples(model, posterior, {4: 1.0})
    with pytest.raises(tb.UsageError, match="effective draws of z or more for 100 samples"):
        conditional_samples(model, model.prior, {0: 60.0, 1: -60.0})
    with pytest.raises(tb.UsageError, match="expected a label from 0 to 2, got 3"):
        conditional_samples(*exact(), {"label": 3})
    with pytest.raises(tb.UsageError, match="a label as a whole number"):
        conditional_samples(*exact(), {"label": "two"})


def test_the_key_alone_changes_draws():
    model, posterior, _ = linear()
    one, same, other = (
        conditional_samples(model, posterior, {0: 1.0}, 5, k=200, key=key).x
        for key in (0, jax.random.key(0), 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
