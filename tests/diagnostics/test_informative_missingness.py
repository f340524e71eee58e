"""The verdict on missingness, on data of which it is known why values are missing."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.test_holes import linear

import tightbound as tb
from tightbound.core.errors import UsageError

LOGIT = 0.4


def rows(slope, n=400, seed=0):
    """Rows of the linear-Gaussian model, with columns 1 and 2 missing by a logit of that slope."""
    _, _, affine = linear()
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, affine.matrix.shape[1]))
    x = z @ affine.matrix.T + affine.offset + rng.normal(size=(n, 4)) * affine.variance**0.5
    logits = LOGIT - np.array([0, slope, 0, 0]) * x
    observed = rng.random(x.shape) < 1 / (1 + np.exp(-logits))
    observed[:, [0, 3]] = True
    return np.where(observed, x, np.nan).astype(np.float32)


def parts(kind, slope=0.0):
    """The model that the rows are from, with a mask of that kind."""
    model, posterior, _ = linear()
    model, posterior = tb.models.missingness(model, posterior, kind=kind)
    intercept = jnp.array([30.0, LOGIT, LOGIT, 30.0])
    model = eqx.tree_at(lambda m: m.likelihood.mask.intercept, model, intercept)
    if kind == "constant":
        return model, posterior
    slopes = jnp.array([0.0, slope, 0.0, 0.0])
    return eqx.tree_at(lambda m: m.likelihood.mask.free, model, slopes), posterior


def constant(x):
    """The model of constant rates, at those of the rows."""
    model, posterior = parts("constant")
    rate = np.clip(1 - np.isnan(x).mean(axis=0), 1e-6, 1 - 1e-6)
    logits = jnp.asarray(np.log(rate / (1 - rate)), jnp.float32)
    return eqx.tree_at(lambda m: m.likelihood.mask.intercept, model, logits), posterior


@pytest.mark.slow
@pytest.mark.stat
def test_the_column_that_hides_its_own_values_is_named_and_no_other():
    # By the truth itself, on 400 rows: the difference is 15 of its standard errors from 0. Column 2
    # has the same mask in both models but for 400 rows' error of a rate: 5 % false alarms of a
    # fixed seed.
    x = rows(2.0)
    found = tb.diagnostics.informative_missingness(constant(x), parts("self_masking", 2.0), x)
    assert found.informative
    assert [column.name for column in found.columns] == ["1", "2"]
    assert [column.informative for column in found.columns] == [True, False]
    assert found.columns[0].mean > 0.05 > abs(found.columns[1].mean)
    low, high = found.comparison.interval
    text = found.summary()
    assert text.startswith("missingness looks informative in column 1: +")
    assert f"nats a row (95 % interval [{low:.3f}, {high:.3f}])" in text


@pytest.mark.slow
@pytest.mark.stat
def test_of_values_missing_at_random_nothing_is_said_but_that():
    # The false alarm of a wrong slope is one-sided: such a mask is worse on average.
    x = rows(0.0)
    found = tb.diagnostics.informative_missingness(constant(x), parts("self_masking", 0.3), x)
    assert not found.informative
    assert found.summary().startswith("no evidence that missingness is informative: -")
    assert "at random" not in found.summary()


def test_what_cannot_be_compared_says_so():
    x = rows(2.0, n=4)
    a, b = parts("constant"), parts("self_masking")
    ask = tb.diagnostics.informative_missingness
    with pytest.raises(UsageError, match="expected constant= .* got a mask SelfMasking"):
        ask(b, a, x)
    with pytest.raises(UsageError, match="expected masked= .* got a mask without a model"):
        ask(a, linear()[:2], x)
    with pytest.raises(UsageError, match="with missing values, got 4 with 0 missing"):
        ask(a, b, np.nan_to_num(x))
