"""Importance sampling of all data with the ladder of some: what corrects the mean, and what not.

The ladder is a stand-in that is off by known numbers, beside importance sampling from the exact
posterior, which is right up to rounding.
"""

from importlib import import_module

import numpy as np
import pytest

import tightbound as tb
from tests.oracles import linear_gaussian as oracle
from tests.ztest import LIMIT
from tightbound.evidence import Estimate, LadderEvidence
from tightbound.evidence.ladder.two_phase import AUDITED, Corrected, corrected

N = 40
X = oracle.data(N)
STDERR = 0.01
"""The ladder's, of each datum."""
SCATTER = np.where(np.arange(AUDITED) % 2, 0.4, -0.4)
"""Too wide for 16 of 40 data to tell the mean within 0.1 nats in 99 % of cases."""
CHOICE = np.std(SCATTER, ddof=1) / 4 * np.sqrt(1 - AUDITED / N)
"""Standard error of its mean from the choice of the data (Cochran 1977): s / sqrt(16), of 40."""
DIFFERENCE = np.hypot(CHOICE, STDERR * np.sqrt(AUDITED) / N)
"""That of the difference; importance sampling has none of its own."""


def ladder(rows, values, stderr=STDERR):
    n = len(rows)
    return LadderEvidence(
        log_evidence=np.asarray(values),
        stderr=np.full(n, stderr),
        ess=np.full(n, 1000.0),
        result=np.zeros(n, np.int32),
        direction="consistent",
        method="the ladder",
        draws=1024,
        binarisation="none",
        seconds=0.0,
        verdicts=("trust",) * n,
        rungs=((),) * n,
        rows=rows,
    )


@pytest.fixture
def evaluated(monkeypatch):
    """`tb.evaluate` with a ladder that is off by given numbers on the data that it looks at."""

    def evaluate(off):
        def climbed(model, posterior, data, rows, budget, run):
            return ladder(rows, oracle.log_evidence(model, X)[rows] + off)

        monkeypatch.setattr(import_module("tightbound.evidence.evaluate"), "climbed", climbed)
        parts = oracle.exact_parts(1)
        alone = tb.evaluate(parts.model, parts.posterior, X, k=5000, key=0)
        assert alone.verdict == "trust"
        return tb.evaluate(parts.model, parts.posterior, X, key=0), alone

    return evaluate


def test_a_trusted_mean_stays_where_a_less_sure_ladder_does_not_contradict_it(evaluated):
    found, alone = evaluated(SCATTER + 0.02)
    better = found.recommended
    assert found.verdict == "trust"
    assert isinstance(better, Corrected)
    assert (better.verdict, better.shift, better.stderr_shift) == ("trust", 0, 0)
    assert better.direction == "lower"
    np.testing.assert_array_equal(better.log_evidence, alone.log_evidence)
    np.testing.assert_array_equal(better.stderr, alone.stderr)
    assert better.stderr_draws == alone.stderr_draws
    assert better.stderr_data == alone.stderr_data
    assert better.difference == pytest.approx(0.02, abs=1e-4)
    assert better.stderr_difference == pytest.approx(DIFFERENCE, rel=1e-3)
    assert f"on {AUDITED} of the data does not contradict it: +0.020" in better.judgement.reason
    assert f"{alone.mean:.3f}" in found.summary().splitlines()[0]


def test_it_does_not_stay_where_a_less_sure_ladder_contradicts_it(evaluated):
    found, alone = evaluated(SCATTER + 1)
    better = found.recommended
    assert found.verdict == "do not trust"
    assert found.judgement.reason.startswith("the ladder is +1.000 nats away")
    assert better.verdict == "more draws"
    assert better.difference == pytest.approx(better.shift)
    assert better.shift == pytest.approx(1, abs=1e-4)
    assert better.mean == pytest.approx(alone.mean + 1, abs=1e-4)
    assert better.direction == "consistent"
    assert better.stderr_shift == pytest.approx(CHOICE, rel=1e-3)
    assert better.stderr_difference == pytest.approx(DIFFERENCE, rel=1e-3)


def test_it_does_not_stay_where_the_ladder_is_as_sure(evaluated):
    found, alone = evaluated(0.02)
    assert found.verdict == found.recommended.verdict == "trust"
    assert found.recommended.shift == pytest.approx(0.02, abs=1e-4)
    assert found.recommended.mean == pytest.approx(alone.mean + 0.02, abs=1e-4)


def test_data_are_looked_at_once(evaluated, monkeypatch):
    batches = import_module("tightbound.evidence.batches")
    calls, as_source = [], batches.as_source
    monkeypatch.setattr(
        batches, "as_source", lambda *of, **how: calls.append(1) or as_source(*of, **how)
    )
    evaluated(0.0)
    assert len(calls) == 2, "of importance sampling alone, and with the ladder"


@pytest.mark.stat
def test_the_error_of_a_corrected_mean_is_that_of_a_simulation():
    # Differences of two strata, of whose data 4 of 15 and 12 of 25 are looked at, 4,000 times.
    # The standard deviation of means against the mean formula: 1 within 4.9 / sqrt(8000), and 2 %
    # for the average of roots in place of the root of an average.
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1], [15, 25])
    none = np.zeros(N)
    plain = Estimate(
        log_evidence=none,
        stderr=none,
        ess=none,
        result=none.astype(np.int32),
        direction="lower",
        method="importance sampling",
        draws=5000,
        binarisation="none",
        seconds=0.0,
    )
    gap = np.where(strata == 0, 0.1 * rng.normal(size=N), 1 + 0.6 * rng.normal(size=N))
    means, errors = [], []
    for _ in range(4000):
        rows = np.concatenate(
            [rng.choice(15, 4, replace=False), 15 + rng.choice(25, 12, replace=False)]
        )
        found = corrected(plain, ladder(rows, gap[rows], 0.0), strata)
        means.append(found.mean)
        errors.append(found.stderr_shift)
    assert abs(np.mean(means) - gap.mean()) < LIMIT * np.std(means) / np.sqrt(4000)
    root = np.sqrt(np.mean(np.square(errors)))
    assert np.std(means) / root == pytest.approx(1, abs=4.9 / np.sqrt(8000) + 0.02)
