"""The rule at each of its boundaries, and how often it trusts what it should not."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.evidence.toys import estimate, many_units, of_estimate
from tests.oracles.linear_gaussian import affine_normal, log_evidence
from tightbound.distributions import AbstractExplicit, StandardNormal
from tightbound.evidence import annealed, evaluate
from tightbound.evidence.importance.growth import bias_by_growth
from tightbound.evidence.importance.pareto import standard_error, threshold
from tightbound.evidence.importance.tail import UPPER
from tightbound.evidence.terms import BACKWARDS, CHAINS, DRAWS, POSTERIOR
from tightbound.evidence.verdict import (
    BIAS,
    FACTOR,
    SHARE,
    WORDS,
    Verdict,
    Weighed,
    against_annealed,
    allowed,
    at_least,
    by_error,
    by_gap,
    judge,
    judge_each,
)
from tightbound.models import Model
from tightbound.objectives import Params

JUST = 1e-3


def weighed(*, n=100, k=5000, stderr=0.0, khat=0.1, missing=0.0, most=None, rounding=0.0, low=0.0):
    """What is known of n data, of which each number may differ."""
    full = (np.broadcast_to(np.asarray(a, np.float64), n) for a in (stderr, khat, missing))
    stderr, khat, missing = full
    most = missing if most is None else np.broadcast_to(most, n)
    return Weighed(k, stderr, khat, missing, most, np.broadcast_to(rounding, n), low)


def first(count, value, other, n=100):
    return np.where(np.arange(n) < count, value, other)


def at_the_end(upper, k):
    """The k-hat whose upper end is this."""
    m = 1 / standard_error(np.zeros(1), k)[0] ** 2
    return (upper - UPPER / math.sqrt(m)) / (1 + UPPER / math.sqrt(m))


def test_the_rule_is_the_documented_one():
    assert (SHARE, BIAS, FACTOR) == (0.05, 0.1, 100)
    assert WORDS == ("trust", "more draws", "do not trust")


EDGE = at_the_end(1.0, 5000)
LOW = 0.1 / 2.576


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "trust"),
        # Of 100 data chance makes 8 of 5.
        ({"khat": first(8, 0.99, 0.1)}, "trust"),
        ({"khat": first(9, EDGE - JUST, 0.1)}, "trust"),
        ({"khat": first(9, EDGE + JUST, 0.1)}, "more draws"),
        ({"khat": first(9, 1 - JUST, 0.1)}, "more draws"),
        ({"khat": first(9, 1.0, 0.1)}, "do not trust"),
        ({"khat": first(8, 1.0, 0.1)}, "trust"),
        ({"khat": first(9, math.nan, 0.1)}, "do not trust"),
        ({"khat": first(8, math.nan, 0.1)}, "trust"),
        ({"n": 16, "khat": first(2, 1.0, 0.1, 16)}, "trust"),
        ({"n": 16, "khat": first(3, EDGE + JUST, 0.1, 16)}, "more draws"),
        ({"n": 4, "khat": first(1, EDGE + JUST, 0.1, 4)}, "more draws"),
        ({"khat": -math.inf}, "trust"),
        ({"missing": 0.1 - JUST}, "trust"),
        ({"missing": 0.1 + JUST}, "more draws"),
        ({"low": 0.1 + JUST}, "more draws"),
        ({"missing": 1 - JUST}, "more draws"),  # 100 times as many have a tenth of that error
        ({"missing": 1 + 0.02}, "do not trust"),
        ({"missing": math.nan}, "do not trust"),
        ({"stderr": math.nan}, "do not trust"),
        # Errors of the data are independent: their mean has a tenth of them.
        ({"stderr": 0.2}, "trust"),
        ({"n": 1, "stderr": 0.2}, "more draws"),
        ({"n": 1, "stderr": 0.95 * LOW}, "trust"),
        ({"n": 1, "stderr": LOW}, "more draws"),
        ({"n": 1, "most": 0.09}, "trust"),
        ({"n": 1, "most": 0.11}, "more draws"),
        ({"most": 0.5}, "trust"),
        ({"n": 1, "stderr": 0.4}, "do not trust"),
        ({"n": 1, "khat": EDGE + JUST}, "more draws"),
        ({"n": 1, "khat": 1.0}, "do not trust"),
        ({"k": 49}, "more draws"),
        ({"k": 50}, "trust"),
        ({"rounding": 0.1 - JUST}, "trust"),
        ({"rounding": 0.1 + JUST}, "do not trust"),
        ({"rounding": 0.06, "missing": 0.05}, "more draws"),
    ],
)
def test_boundaries(options, word):
    assert judge(weighed(**options)).word == word


def test_one_datum_is_judged_as_by_itself():
    rng = np.random.default_rng(0)
    for _ in range(300):
        known = weighed(
            n=1,
            k=int(rng.choice([8, 60, 5000])),
            stderr=rng.uniform(0, 0.3) * rng.random(),
            khat=rng.uniform(-0.5, 1.1),
            missing=rng.uniform(0, 0.3) * rng.random(),
            rounding=rng.choice([0.0, 0.05, 0.2]),
        )
        for terms in (DRAWS, CHAINS):
            assert judge_each(known, terms) == (judge(known, terms).word,)


def test_reasons_carry_the_numbers():
    judged = judge(weighed(khat=first(7, 0.9, 0.1), missing=0.0625))
    assert judged.share_beyond == pytest.approx(0.07)
    assert judged.bias == pytest.approx(0.0625, rel=1e-5)
    for fact in ("7.0 % of the data have a k-hat that may be beyond 1", "within 0.062 nats"):
        assert fact in judged.reason
    assert "no affordable number of draws" in judge(weighed(khat=1.2)).reason
    assert "tb.evidence.AIS" in judge(weighed(khat=1.2)).reason
    alone = judge(weighed(n=1, khat=0.3)).reason
    assert alone.startswith("k-hat 0.30, at most 0.51; within 0 nats in 99 % of cases")
    assert "but for modes that none of the draws reached" in alone


@pytest.mark.parametrize(
    ("options", "forecast"),
    [
        ({"missing": 0.15}, "use about 20,000 draws"),  # 11,250, up to one leading digit
        ({"missing": 0.15, "khat": 0.75}, "use about 30,000 draws (30,000 to 40,000)"),
        ({"n": 1, "stderr": 2 * LOW, "khat": 0.3}, "use about 30,000 draws"),
        (
            {"n": 1, "stderr": 2 * LOW, "khat": 0.75},
            "use about 90,000 draws (30,000 to many times more)",
        ),
        ({"khat": first(10, 0.99, 0.1)}, "use about 20,000 draws"),  # k-hat alone: 4 times
    ],
)
def test_forecasts_draws_with_an_interval(options, forecast):
    judged = judge(weighed(**options))
    assert judged.word == "more draws"
    assert forecast in judged.reason


def test_too_few_draws_are_not_judged():
    judged = judge(weighed(n=3, k=10, stderr=math.nan, khat=math.nan))
    assert judged.word == "more draws"
    assert "k=10 is too few to judge" in judged.reason
    assert judge_each(weighed(n=3, k=10)) == ("more draws",) * 3


@pytest.mark.parametrize(("n", "most"), [(1, 0), (4, 0), (5, 1), (16, 2), (100, 8), (10_000, 535)])
def test_as_many_data_may_fail_as_chance_allows(n, most):
    assert allowed(n) * n == pytest.approx(most)
    # Of 100 data and more: what the binomial law exceeds in about one case of 20.
    if n >= 100:
        assert 0.03 < stats.binom.sf(most, n, SHARE) < 0.07


def test_few_chains_in_reverse_are_not_judged():
    judged = judge(weighed(n=1, k=15, khat=math.nan), BACKWARDS)
    assert judged.word == "more draws"
    assert "15 chains are too few to judge: use 16 or more" in judged.reason
    assert judge_each(weighed(n=2, k=15, khat=math.nan), BACKWARDS) == ("more draws",) * 2
    assert judge(weighed(n=1, k=16, khat=math.nan), BACKWARDS).word == "trust"


@pytest.mark.parametrize("terms", [CHAINS, BACKWARDS])
@pytest.mark.parametrize("k", [16, 64, 500])
def test_the_spread_of_few_chains_is_asked_at_99_99_percent(k, terms):
    # In reverse that of many too. Errors are those of Student's t at 95 % already.
    few = k < 100
    cases = 0.9999 if few or terms is BACKWARDS else 0.99
    end = (1 + cases) / 2
    times = stats.t.ppf(end, k - 1) / stats.t.ppf(0.975, k - 1) * stats.norm.ppf(0.975)
    times = times if few else stats.norm.ppf(end)
    stderr = np.sqrt(times**2 + 2 * BIAS) - times  # stderr^2 / 2 + times * stderr = BIAS
    for factor, word in ((0.999, "trust"), (1.001, "more draws")):
        assert judge(weighed(n=1, k=k, khat=0.0, stderr=factor * stderr), terms).word == word


def test_chains_that_have_not_arrived_are_not_trusted():
    known = weighed(n=2, k=200)
    assert judge(known._replace(between=np.array([0.5, 0.5])), POSTERIOR).word == "trust"
    for share in (0.51, math.nan):
        apart = known._replace(between=np.array([0.1, share]))
        judged = judge(apart, POSTERIOR)
        assert judged.word == "more draws"
        assert "use more transitions" in judged.reason
        assert judge_each(apart, POSTERIOR) == ("trust", "more draws")


def test_few_chains_are_judged_by_their_spread():
    assert judge(weighed(n=1, k=8, khat=math.nan, stderr=0.01), CHAINS).word == "trust"
    judged = judge(weighed(n=1, k=8, khat=math.nan, stderr=0.05), CHAINS)
    assert judged.word == "more draws"
    assert "chains" in judged.reason
    assert "or more temperatures" in judged.reason
    assert judge(weighed(n=1, k=8, khat=math.nan, stderr=1.0), CHAINS).word == "do not trust"
    # With 100 of them and more their tail counts.
    assert judge(weighed(n=1, k=100, khat=1.2, stderr=0.01), CHAINS).word == "do not trust"


def test_an_error_bar_is_a_lower_bound_where_the_weights_may_have_no_variance():
    edge = at_the_end(0.5, 5000)
    known = weighed(n=4, khat=[edge - JUST, edge + JUST, math.nan, -math.inf])
    assert at_least(known, DRAWS).tolist() == [False, True, True, False]
    for terms in (DRAWS, CHAINS):
        assert at_least(weighed(n=2, k=99), terms).all()
        assert not at_least(weighed(n=2, k=100, khat=-0.5), terms).any()
    assert at_least(weighed(n=2), BACKWARDS).all()


def test_evidence_that_failed_everywhere_is_not_called_a_lack_of_draws():
    judged = judge(weighed(n=3, stderr=math.nan, khat=math.nan))
    assert judged.word == "do not trust"
    assert "100.0 % of the data have a k-hat that may be beyond 1" in judged.reason


@pytest.mark.slow
def test_worse_numbers_never_give_a_better_verdict():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(2000):
        of = {
            "n": 20,
            "k": 1000,
            "stderr": rng.uniform(0, rng.choice([0.1, 0.4, 1.0]), 20),
            "khat": rng.uniform(-0.5, rng.choice([0.7, 0.8, 1.1]), 20),
            "missing": rng.uniform(0, rng.choice([0.05, 0.3, 1.0]), 20),
        }
        worse = (
            {"stderr": of["stderr"] * rng.uniform(1, 2)},
            {"missing": of["missing"] * rng.uniform(1, 2)},
            {"khat": np.where(rng.random(20) < 0.1, math.nan, of["khat"])},
            {"rounding": 0.02},
        )
        better = judge(weighed(**of)).word
        seen.add(better)
        for change in worse:
            other = judge(weighed(**(of | change))).word
            assert WORDS.index(other) >= WORDS.index(better)
    assert seen == set(WORDS)


def test_numbers_that_are_not_drawn_are_judged_by_their_error():
    judged, each = by_error(np.array([1e-6, 0.3]))
    assert judged.word == "do not trust"
    assert "more points" in judged.reason
    assert each == ("trust", "do not trust")
    assert by_error(np.array([1e-6, 0.1]))[0].word == "trust"


def test_bounds_from_both_sides_are_judged_by_their_gap():
    assert by_gap(np.full(9, 0.05), 0.01).word == "trust"
    assert by_gap(np.full(9, 0.05), 0.03).word == "more draws"
    assert by_gap(np.full(9, 0.2), 0.01).word == "do not trust"
    assert by_gap(np.full(9, -0.2), 0.01).word == "do not trust"
    assert by_gap(np.full(9, math.nan), 0.01).word == "do not trust"


@pytest.mark.stat
@pytest.mark.parametrize("dim", [2, pytest.param(10, marks=pytest.mark.slow)])
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
            word = judge(of_estimate(ev, k, rows)).word
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
    assert judge(of_estimate(ev, 1000)).word == "trust"


def test_each_datum_is_judged_by_the_same_rule():
    good = 5
    khat = np.array([0.1] * good + [EDGE + JUST, 1.0, 0.1, 0.1, math.nan])
    missing = np.array([0.0] * good + [0.0, 0.0, 0.1 + JUST, 1.02, 0.0])
    expected = (
        *("trust",) * good,
        "more draws",
        "do not trust",
        "more draws",
        "do not trust",
        "do not trust",
    )
    assert judge_each(weighed(n=10, khat=khat, missing=missing)) == expected
    # The largest of the biases counts.
    low = np.array([0.2] + [0.0] * 4)
    assert judge_each(weighed(n=5, low=low))[0] == "more draws"
    assert judge(weighed(n=10), growth=0.2).word == "more draws"
    assert judge(weighed(n=10), growth=0.05).word == "trust"


def test_a_datum_that_passes_where_most_fail_has_been_lucky():
    khat = np.array([0.1, 0.1, 0.9, 0.9, 0.9])
    assert judge_each(weighed(n=5, khat=khat)) == ("more draws",) * 5
    assert judge_each(weighed(n=4, khat=khat[:4])) == ("trust",) * 2 + ("more draws",) * 2
    assert judge_each(weighed(n=5, khat=khat + 0.15)) == ("do not trust",) * 5
    assert judge_each(weighed(n=1, khat=khat[:1])) == ("trust",)


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
    ("word", "above", "annealed", "after"),
    [
        ("trust", 0.05, "trust", "trust"),
        ("trust", 0.2, "trust", "do not trust"),
        ("more draws", 0.05, "more draws", "more draws"),
        ("more draws", 0.05, "trust", "trust"),
        ("do not trust", 0.05, "trust", "trust"),
        ("do not trust", 0.05, "more draws", "do not trust"),
        ("do not trust", -0.2, "trust", "do not trust"),
        ("trust", math.nan, "trust", "do not trust"),
    ],
)
def test_annealing_decides(word, above, annealed, after):
    judged = Verdict(word, "so it was", 0.0, 0.0)
    found = against_annealed(judged, np.full(100, above), np.full(100, 0.1), annealed)
    assert found.word == after
    assert "annealed importance sampling is" in found.reason
    assert "so it was" in found.reason
    # A difference within its own error decides nothing.
    if word == "trust":
        unsure = against_annealed(judged, np.full(100, 0.2), np.full(100, 1.0), annealed)
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
    above = prior.log_evidence - ev.log_evidence
    assert against_annealed(ev.judgement, above, prior.stderr, "trust").word == "do not trust"


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
    assert asked.verdict == "do not trust"
    # The annealed bound is higher, and the number to believe: it comes first.
    assert asked.recommended is asked.annealed
    assert asked.summary().startswith(asked.annealed.headline())


def test_threshold_rises_with_k():
    values = [threshold(k) for k in (25, 50, 100, 500, 1000, 2000, 5000)]
    assert values == sorted(values)
