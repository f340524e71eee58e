"""Estimators as values: the same numbers as by their functions, of one type, refusals in words."""

import dataclasses
import inspect

import numpy as np
import pytest

import tightbound as tb
from tests.cases import ESTIMATORS
from tests.oracles import linear_gaussian
from tightbound.core.errors import UsageError
from tightbound.evidence import AIS, Estimate, Estimator, HMCDensity
from tightbound.evidence.estimate import KINDS
from tightbound.evidence.estimator import estimators
from tightbound.evidence.verdict import WORDS

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32) * [[2], [0.1], [1]]


STEPS = ("ParticleFilter",)
"""For sequences alone: in tests/evidence/test_particle_filter.py."""
SLOW = ("AIS", "AdaptiveSampling", "HMCDensity")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n
        for n in ESTIMATORS
        if n not in STEPS
    ],
)
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
    np.testing.assert_array_equal(np.argsort(found.log_evidence), np.argsort(truth))
    is_an_estimate(found, len(X))


def is_an_estimate(found, n):
    """What a reader of any result may rely on."""
    assert isinstance(found, Estimate)
    assert {len(of) for of in found.diagnostics.values()} <= {n}
    for array in (found.log_evidence, found.stderr, found.ess, found.result, found.rounding):
        assert array.shape == (n,)
        assert np.isfinite(array).all()
    assert not found.result.any()
    assert np.isfinite([found.mean, found.stderr_draws, found.stderr_data]).all()
    assert found.direction in KINDS
    unit = "nats per datum" if found.steps is None else "nats per sequence"
    for word in (unit, KINDS[found.direction], found.method, found.binarisation):
        assert word in found.summary()
    assert found.verdict in WORDS
    assert f"verdict: {found.verdict}" in found.summary().splitlines()[1]
    assert len(found.verdicts) == n
    assert set(found.verdicts) <= set(WORDS)
    assert found == found
    assert found != dataclasses.replace(found)
    for field in dataclasses.fields(found):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(found, field.name, None)


@pytest.mark.slow
def test_evaluate_and_sandwich_give_them_too():
    model = linear_gaussian.one_layer_model()
    found = tb.evaluate(model, linear_gaussian.exact_posterior(model), X, k=20, temperatures=3)
    is_an_estimate(found, len(X))
    is_an_estimate(found.annealed, len(X))
    assert (found.k, found.direction) == (20, "lower")
    for name in ("khat", "elbo", "jackknife"):
        assert getattr(found, name).shape == (len(X),)
    both = tb.sandwich(model, n=2, temperatures=20, chains=4)
    assert (both.lower.direction, both.upper.direction) == ("lower", "upper")
    for side in (both.lower, both.upper):
        is_an_estimate(side, 2)
    assert both.upper.at_least.all()  # each datum has one exact draw, whatever the chains say
    assert f"verdict: {both.verdict}" in both.summary()
    versus = tb.evidence.compare(found, found)
    assert versus.verdict == found.verdict
    assert versus.judgement.reason.startswith("a: ")


def test_a_direction_is_one_of_four():
    none = np.zeros(1)
    of = {"log_evidence": none, "stderr": none, "ess": none, "result": none.astype(int)}
    words = {"method": "a guess", "draws": 1, "binarisation": "none", "seconds": 0.0}
    with pytest.raises(UsageError, match="direction to be one of exact, lower, .* got 'sideways'"):
        Estimate(direction="sideways", **of, **words)


def test_every_estimator_has_a_case():
    assert set(estimators()) == set(ESTIMATORS)


def test_wrong_settings_are_refused_in_words():
    with pytest.raises(UsageError, match=r"temprature.*temperatures"):
        AIS(temprature=3)
    model = linear_gaussian.one_layer_model()
    with pytest.raises(UsageError, match="hmc_density has no chunk=: leave it out"):
        tb.evaluate(model, None, X, by=HMCDensity(), chunk=3)
    with pytest.raises(UsageError, match=r"expected by= as an estimator, .* got 'AIS'"):
        inspect.unwrap(tb.evaluate)(model, None, X, by="AIS")
    with pytest.raises(UsageError, match="chains, budget and bounds_at are for the ways"):
        tb.evaluate(model, None, X, by=AIS(), k=10)
    assert isinstance(AIS(temperatures=5), Estimator)
