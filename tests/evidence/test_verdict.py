"""The rule at each of its boundaries, and how often it trusts what it should not."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evidence.toys import estimate, many_units
from tests.oracles.linear_gaussian import affine_normal, log_evidence
from tightbound.distributions import AbstractExplicit, StandardNormal
from tightbound.evidence import annealed, evaluate
from tightbound.evidence.importance.growth import bias_by_growth
from tightbound.evidence.importance.pareto import threshold
from tightbound.evidence.verdict import (
    BIAS,
    FACTOR,
    SHARE,
    Verdict,
    against_annealed,
    judge,
    judge_each,
)
from tightbound.models import Model
from tightbound.objectives import Params

WORDS = ("use AIS", "raise k", "trust")
JUST = 1e-3


def verdict(*, beyond=0, khat=0.9, bias=0.0, k=5000):
    """Judges 100 data of which `beyond` have the given k-hat, and the others 0.1."""
    shapes = np.where(np.arange(100) < beyond, khat, 0.1).astype(np.float32)
    stderr = np.full(100, math.sqrt(2 * bias), np.float32)
    return judge(stderr, shapes, k)


def test_the_rule_is_the_documented_one():
    assert (SHARE, BIAS, FACTOR) == (0.05, 0.1, 100)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "trust"),
        ({"beyond": 5}, "trust"),
        ({"beyond": 6}, "raise k"),
        ({"beyond": 6, "khat": 0.7}, "trust"),
        ({"beyond": 6, "khat": 0.7 + JUST}, "raise k"),
        ({"beyond": 6, "khat": 1 - JUST}, "raise k"),
        ({"beyond": 6, "khat": 1.0}, "use AIS"),
        ({"beyond": 5, "khat": 1.0}, "trust"),
        ({"beyond": 5, "khat": 1.0, "bias": 1.0}, "raise k"),
        ({"beyond": 100, "khat": math.nan}, "use AIS"),
        ({"beyond": 6, "khat": math.nan}, "use AIS"),
        ({"beyond": 5, "khat": math.nan}, "trust"),
        ({"beyond": 100, "khat": -math.inf}, "trust"),
        ({"bias": 0.1 - JUST}, "trust"),
        ({"bias": 0.1 + JUST}, "raise k"),
        ({"bias": 10 - JUST}, "raise k"),
        ({"bias": 10 + JUST}, "use AIS"),
        ({"bias": math.nan}, "use AIS"),
        ({"k": 24}, "raise k"),
        ({"k": 25}, "trust"),
        ({"beyond": 6, "khat": 0.5, "k": 100}, "trust"),
        ({"beyond": 6, "khat": 0.5 + JUST, "k": 100}, "raise k"),
        ({"beyond": 6, "khat": 2 / 3 - JUST, "k": 1000}, "trust"),
        ({"beyond": 6, "khat": 2 / 3 + JUST, "k": 1000}, "raise k"),
    ],
)
def test_boundaries(options, word):
    assert verdict(**options).word == word


def test_reasons_carry_the_numbers():
    judged = verdict(beyond=7, khat=0.8, bias=0.0625, k=1000)
    assert judged.share_beyond == pytest.approx(0.07)
    assert judged.bias == pytest.approx(0.0625, rel=1e-5)
    for fact in ("7.0 % of the data have k-hat > 0.67", "0.0 % beyond 1", "bias 0.062 nats"):
        assert fact in judged.reason
    assert "8.0 % beyond 1" in verdict(beyond=8, khat=1.2).reason
    assert "more draws will not find" in verdict(beyond=8, khat=1.2).reason


@pytest.mark.parametrize(
    ("options", "proposal"),
    [
        ({"bias": 0.15}, 8000),  # 7500, up to one leading digit
        ({"bias": 0.35}, 20_000),
        ({"bias": 1.15, "k": 1000}, 20_000),
        ({"beyond": 10}, 50_000),
        ({"beyond": 10, "bias": 0.35}, 50_000),
        ({"beyond": 10, "bias": 1.15}, 60_000),
    ],
)
def test_proposes_a_number_of_draws(options, proposal):
    assert verdict(**options).reason.endswith(f": try k={proposal}")


def test_too_few_draws_are_not_judged():
    judged = judge(np.full(3, np.nan), np.full(3, np.nan), 10)
    assert judged.word == "raise k"
    assert "k=10 is too few to judge" in judged.reason


def test_evidence_that_failed_everywhere_is_not_called_a_lack_of_draws():
    judged = judge(np.full(3, np.nan), np.full(3, np.nan), 5000)
    assert judged.word == "use AIS"
    assert "100.0 % of the data have k-hat > 0.70" in judged.reason


def test_worse_numbers_never_give_a_better_verdict():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(2000):
        stderr = rng.uniform(0, rng.choice([0.4, 1.0, 6.0]), 20)
        khat = rng.uniform(-0.5, rng.choice([0.7, 0.8, 1.1]), 20)
        worse = (
            judge(stderr * rng.uniform(1, 2), khat, 1000),
            judge(stderr, khat + rng.uniform(0, 0.4, 20), 1000),
            judge(stderr, np.where(rng.random(20) < 0.1, np.nan, khat), 1000),
            judge(stderr, khat, 100),
        )
        better = judge(stderr, khat, 1000).word
        seen.add(better)
        for other in worse:
            assert WORDS.index(other.word) <= WORDS.index(better)
    assert seen == set(WORDS)


@pytest.mark.stat
@pytest.mark.parametrize("dim", [2, 10])
def test_does_not_trust_a_biased_estimate(dim):
    # A wider grid with its counts: examples/verdict_errors.py, docs/evidence.md.
    groups, size, k = 4, 64, 500
    x = np.random.default_rng(2).standard_normal((groups * size, dim)).astype(np.float32) * 2**0.5
    words = {False: [], True: []}
    for factor, shift in itertools.product((0.4, 0.7, 1.0, 1.5), (0.0, 0.7, 1.4)):
        parts = many_units(dim, factor=factor, shift=shift)
        ev = estimate(parts, x, k=k, chunk=250)
        error = log_evidence(parts.model, x) - ev.log_z
        for rows in np.split(np.arange(len(x)), groups):
            word = judge(ev.stderr[rows], ev.khat[rows], k).word
            words[bool(error.mean() > 0.2)].append(word)
    assert "trust" not in words[True]
    assert len(words[True]) >= 8
    assert words[False].count("trust") >= 8


class Folded(AbstractExplicit):
    """x = |z| + noise of standard deviation 0.1: the posterior has a mode on either side of 0."""

    @property
    def support(self):
        return "real"

    def sample(self, given, *, key):
        return jnp.abs(given) + 0.1 * jax.random.normal(key, (1,))

    def log_prob(self, value, given):
        error = (value[0] - jnp.abs(given[0])) / 0.1
        return -0.5 * error**2 - math.log(0.1 * math.sqrt(2 * math.pi))

    def sample_and_log_prob(self, given, *, key):
        value = self.sample(given, key=key)
        return value, self.log_prob(value, given)

    def mean(self, given):
        return jnp.abs(given)


def test_cannot_see_a_mode_that_no_draw_reached():
    # Half of the posterior's mass is missing, and with it log 2 nats: a limit to know about.
    x = np.full((50, 1), 1.5, np.float32)
    q = affine_normal(np.array([[1 / 1.01]]), np.zeros(1), np.full(1, 0.1 / 1.01**0.5))
    ev = estimate(Params(Model(StandardNormal(1), Folded()), q), x, k=1000, chunk=500)
    one_mode = -0.5 * 1.5**2 / 1.01 - 0.5 * math.log(2 * math.pi * 1.01)
    np.testing.assert_allclose(ev.log_z, one_mode, atol=1e-4)  # log p(x) is higher by log 2
    assert judge(ev.stderr, ev.khat, 1000).word == "trust"


def test_each_datum_is_judged_by_the_same_rule():
    good = 5
    khat = np.array([0.1] * good + [0.7 + JUST, 1.0, 0.1, 0.1, math.nan])
    bias = np.array([0.0] * good + [0.0, 0.0, 0.1 + JUST, 10 + JUST, 0.0])
    stderr = np.sqrt(2 * bias)
    expected = ("trust",) * good + ("raise k", "use AIS", "raise k", "use AIS", "use AIS")
    assert judge_each(stderr, khat, 5000) == expected
    assert judge_each(0 * stderr, khat, 24) == ("raise k",) * 10
    # The larger of the two biases counts.
    jackknife = np.array([0.2] + [0.0] * 4)
    assert judge_each(np.zeros(5), np.full(5, 0.1), 5000, jackknife=jackknife)[0] == "raise k"
    assert judge(0 * stderr, 0 * stderr, 5000, jackknife=np.full(10, 0.2)).word == "raise k"
    assert judge(0 * stderr, 0 * stderr, 5000, growth=0.2).word == "raise k"
    assert judge(0 * stderr, 0 * stderr, 5000, growth=0.05).word == "trust"


def test_a_datum_that_passes_where_most_fail_has_been_lucky():
    khat = np.array([0.1, 0.1, 0.8, 0.8, 0.8])
    assert judge_each(np.zeros(5), khat, 5000) == ("raise k",) * 5
    assert judge_each(np.zeros(4), khat[:4], 5000) == ("trust",) * 2 + ("raise k",) * 2
    assert judge_each(np.zeros(5), khat + 0.25, 5000) == ("use AIS",) * 5
    assert judge_each(np.zeros(1), khat[:1], 5000) == ("trust",)


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0])
def test_growth_finds_what_is_left_of_a_power_law(a):
    ks = (1, 5, 50, 500, 5000)
    at = -90 - 3.0 * np.array(ks, np.float64) ** -a
    bounds = at + np.random.default_rng(0).normal(0, 0.2, (400, 1))
    assert bias_by_growth(ks, bounds) == pytest.approx(3.0 * 5000**-a, rel=1e-3)
    # Noise about no growth is none, and so are too few numbers of draws to tell.
    flat = np.random.default_rng(1).normal(0, 0.2, (400, 5)) + np.linspace(0, 1e-3, 5)
    assert bias_by_growth(ks, flat) == 0
    assert bias_by_growth(ks[:3], bounds[:, :3]) == 0
    assert bias_by_growth(ks, bounds[:1]) == 0


def test_growth_that_does_not_slow_down_is_a_large_bias():
    bounds = np.array([-100.0, -95.0, -90.0, -85.0, -80.0]) + np.zeros((10, 1))
    assert bias_by_growth((1, 5, 50, 500, 5000), bounds) > 30


@pytest.mark.parametrize(
    ("word", "above", "own_bias", "after"),
    [
        ("trust", 0.05, 0.0, "trust"),
        ("trust", 0.2, 0.0, "use AIS"),
        ("raise k", 0.05, 0.0, "raise k"),
        ("use AIS", 0.05, 0.0, "trust"),
        ("use AIS", 0.05, 0.2, "use AIS"),
        ("use AIS", -0.2, 0.0, "use AIS"),
        ("trust", math.nan, 0.0, "use AIS"),
    ],
)
def test_annealing_decides(word, above, own_bias, after):
    judged = Verdict(word, "so it was", 0.0, 0.0)
    found = against_annealed(judged, np.full(100, above), np.full(100, 0.1), own_bias)
    assert found.word == after
    assert "annealed importance sampling is" in found.reason
    assert "so it was" in found.reason
    # A difference within its own error decides nothing.
    if word == "trust":
        unsure = against_annealed(judged, np.full(100, 0.2), np.full(100, 1.0), own_bias)
        assert unsure.word == "trust"


@pytest.mark.slow
@pytest.mark.stat
def test_a_mode_out_of_reach_is_found_by_annealing_from_elsewhere():
    # By its weights alone the estimate looks perfect, and half of the mass is missing.
    x = np.full((30, 1), 1.5, np.float32)
    q = affine_normal(np.array([[1 / 1.01]]), np.zeros(1), np.full(1, 0.1 / 1.01**0.5))
    model = Model(StandardNormal(1), Folded())
    ev = evaluate(model, q, x, k=1000)
    assert ev.verdict == "trust"
    prior = annealed(model, x, temperatures=100, chains=64)
    assert abs(np.mean(prior.log_evidence - ev.log_evidence) - math.log(2)) < 0.2
    judged = against_annealed(ev.judgement, prior.log_evidence - ev.log_evidence, prior.stderr, 0.0)
    assert judged.word == "use AIS"


@pytest.mark.slow
def test_evaluate_asks_annealing_where_it_is_told_to():
    x = np.random.default_rng(2).standard_normal((40, 2)).astype(np.float32) * 2**0.5
    parts = many_units(2, factor=0.7, shift=1.4)
    alone = evaluate(parts.model, parts.posterior, x, k=200)
    asked = evaluate(parts.model, parts.posterior, x, k=200, temperatures=30, chains=32)
    np.testing.assert_array_equal(alone.log_evidence, asked.log_evidence)
    assert alone.verdict != "trust"
    assert alone.annealed is None
    truth = log_evidence(parts.model, x)
    assert abs(np.mean(asked.annealed.log_evidence - truth)) < 0.1
    assert "annealed importance sampling is" in asked.summary()
    assert asked.verdict == "use AIS"


def test_threshold_rises_with_k():
    values = [threshold(k) for k in (25, 50, 100, 500, 1000, 2000, 5000)]
    assert values == sorted(values)
