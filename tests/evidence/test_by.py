"""Estimators as values: the same numbers as by their functions, and refusals in words."""

import inspect

import numpy as np
import pytest

import tightbound as tb
from tests.cases import ESTIMATORS
from tests.oracles import linear_gaussian
from tightbound.core.errors import UsageError
from tightbound.evidence import AIS, Estimator, HMCDensity
from tightbound.evidence.estimator import estimators

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_value_gives_what_its_function_gives(name):
    make, settings = getattr(tb.evidence, name), ESTIMATORS[name]
    model = linear_gaussian.one_layer_model()
    posterior = tb.autoencoder(X, latent=2, hidden=(), likelihood="gaussian")[1]
    by = make(**settings)
    found = tb.evaluate(model, posterior, X, by=by, key=3)
    slot = {by.slot: posterior} if by.slot else {}
    same = by.function(model, x=X, key=3, **slot, **settings)
    np.testing.assert_array_equal(found.log_evidence, same.log_evidence)
    truth = linear_gaussian.log_evidence(model, X)
    np.testing.assert_allclose(found.log_evidence, truth, atol=3.0)


def test_every_estimator_has_a_case():
    assert set(estimators()) == set(ESTIMATORS)


def test_wrong_settings_are_refused_in_words():
    with pytest.raises(UsageError, match=r"temprature.*temperatures"):
        AIS(temprature=3)
    model = linear_gaussian.one_layer_model()
    with pytest.raises(UsageError, match="HMCDensity has no resume=: leave it out"):
        tb.evaluate(model, None, X, by=HMCDensity(), resume="a.npz")
    with pytest.raises(UsageError, match=r"expected by= as an estimator, .* got 'AIS'"):
        inspect.unwrap(tb.evaluate)(model, None, X, by="AIS")
    with pytest.raises(UsageError, match="k, chunk, temperatures and chains are for importance"):
        tb.evaluate(model, None, X, by=AIS(), k=10)
    assert isinstance(AIS(temperatures=5), Estimator)
