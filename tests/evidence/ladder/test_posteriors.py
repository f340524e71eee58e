"""`tb.evaluate(model, q, x)`: what weights from q do not show, the ladder finds.

x = z^2 + noise has two posterior modes that are alike, and q sits in one of them: every weight
looks right, and log p(x) is low by log 2.
"""

from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.oracles import linear_gaussian as oracle
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions import StandardNormal, from_functions
from tightbound.evidence import Evaluation, LadderEvidence
from tightbound.evidence.ladder.two_phase import AUDITED, Corrected

NOISE = 0.3
SQUARE = tb.Model(
    StandardNormal(1),
    from_functions(
        log_prob=lambda x, z: jnp.sum(jax.scipy.stats.norm.logpdf(x, z**2, NOISE)), dim=1
    ),
)
ONE_SIDE = oracle.affine_normal(np.array([[0.2]]), np.array([1.0]), np.array([0.25]))
FEW = np.array([[2.0]], np.float32)
MANY = np.random.default_rng(0).uniform(1.7, 2.3, (40, 1)).astype(np.float32)
HALF = np.log(2)


@pytest.fixture(scope="module")
def one():
    return tb.evaluate(SQUARE, ONE_SIDE, FEW, key=0)


@pytest.fixture(scope="module")
def many():
    return tb.evaluate(SQUARE, ONE_SIDE, MANY, key=0)


def test_q_in_one_of_two_modes_is_seen_through(one):
    truth = tb.evidence.exact(SQUARE, FEW).mean
    assert isinstance(one, Evaluation)
    # Importance sampling is sure of itself, and low by log 2.
    assert tb.evaluate(SQUARE, ONE_SIDE, FEW, k=5000, key=0).verdict == "trust"
    assert one.verdicts == (one.verdict,) == ("do not trust",)
    assert one.judgement.reason.startswith("the ladder is +0.6")
    assert one.mean == pytest.approx(truth - HALF, abs=0.05)
    better = one.recommended
    assert isinstance(better, LadderEvidence)
    assert abs(better.mean - truth) < LIMIT * better.stderr[0]
    assert better.verdict == "trust"
    lines = one.summary().splitlines()
    assert f"{better.mean:.3f}" in lines[0]
    assert lines[1].strip().startswith("by the ladder")
    assert "and of q(z|x)" in better.judgement.reason


def test_a_target_with_a_mode_far_from_q():
    log_density = lambda z: jnp.logaddexp(  # noqa: E731
        jnp.sum(jax.scipy.stats.norm.logpdf(z, 8.0)), jnp.sum(jax.scipy.stats.norm.logpdf(z, -8.0))
    )
    target = tb.Target(log_density, 2)
    q = from_functions(
        log_prob=lambda z, given: jnp.sum(jax.scipy.stats.norm.logpdf(z, 8.0)),
        sample=lambda given, key: 8.0 + jax.random.normal(key, (2,)),
    )
    found = tb.evaluate(target, q, key=0)
    assert found.mean == pytest.approx(0, abs=0.01)
    assert found.verdict == "do not trust"
    assert abs(found.recommended.mean - HALF) < LIMIT * found.recommended.stderr[0]


@pytest.mark.stat
def test_a_mean_over_many_data_is_corrected(many):
    truth = tb.evidence.exact(SQUARE, MANY).log_evidence
    assert many.verdict == "do not trust"
    assert many.verdicts.count("do not trust") == AUDITED
    assert many.mean == pytest.approx(np.mean(truth) - HALF, abs=0.05)
    better = many.recommended
    assert isinstance(better, Corrected)
    assert len(better.ladder.rows) == AUDITED
    assert len(set(better.ladder.rows)) == AUDITED
    assert better.shift == pytest.approx(HALF, abs=0.05)
    assert abs(better.mean - np.mean(truth)) < LIMIT * better.stderr_draws
    assert better.verdict == "trust"
    assert f"{better.mean:.3f}" in many.summary().splitlines()[0]
    # Those that were looked at are the ladder's.
    np.testing.assert_array_equal(
        better.log_evidence[better.ladder.rows], better.ladder.log_evidence
    )


def test_a_posterior_that_is_right_stays_trusted():
    parts = oracle.exact_parts(1)
    found = tb.evaluate(parts.model, parts.posterior, oracle.data(2), key=0)
    assert found.verdict == "trust"
    assert found.verdicts == ("trust", "trust")
    assert found.recommended.verdict == "trust"
    np.testing.assert_allclose(
        found.recommended.log_evidence,
        oracle.log_evidence(parts.model, oracle.data(2)),
        atol=LIMIT * 0.02,
    )


@pytest.mark.parametrize(
    ("least", "of_each", "most"), [(10**6, 300_000, 10**6), (1, 300_000, 40 * 5000), (1, 10, 160)]
)
def test_the_ladder_costs_no_more_than_the_draws_beside_it(monkeypatch, least, of_each, most):
    module = import_module("tightbound.evidence.evaluate")
    monkeypatch.setattr(module, "LEAST", least)
    monkeypatch.setattr(module, "OF_EACH", of_each)

    def seen(*given):
        assert given[4].evaluations == most
        raise InterruptedError

    monkeypatch.setattr(module, "climbed", seen)
    with pytest.raises(InterruptedError):
        tb.evaluate(SQUARE, ONE_SIDE, MANY, key=0)


def test_with_settings_there_is_no_ladder():
    found = tb.evaluate(SQUARE, ONE_SIDE, FEW, k=500, key=0)
    assert found.recommended is None
    assert found.k == 500


def test_a_discrete_prior_has_no_ladder():
    x = (np.random.default_rng(1).random((5, 6)) < 0.5).astype(np.float32)
    model, posterior = tb.autoencoder(
        x, latent=2, hidden=(3,), posterior="bernoulli", prior="bernoulli"
    )
    found = tb.evaluate(model, posterior, x, key=0)
    assert found.recommended is None
    assert found.method.startswith("importance sampling, k=5000")
    with pytest.raises(UsageError, match="budget= is for the ladder"):
        tb.evaluate(model, posterior, x, budget=1000)
