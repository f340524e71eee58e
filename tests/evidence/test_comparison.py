"""Paired comparisons: what they say, their direction, and how often their interval is right."""

import inspect
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from tests.evidence.toys import estimate, scaled
from tests.oracles import linear_gaussian
from tests.oracles.linear_gaussian import affine_normal, exact_posterior, one_layer_model, read
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.evidence import Estimate, compare
from tightbound.models import Model
from tightbound.objectives import Params

REPLICAS, N = 2000, 5
# Without the run-time check of types, as users have it.
unchecked = inspect.unwrap(compare)


def result(log_evidence, *, direction, stderr=0.2, binarisation="none (values as they are)"):
    """A result of any direction with chosen numbers."""
    values = np.asarray(log_evidence, np.float32)
    errors = np.full(len(values), 0 if direction == "exact" else stderr, np.float32)
    return Estimate(
        log_evidence=values,
        stderr=errors,
        ess=errors,
        result=np.zeros(len(values), np.int32),
        direction=direction,
        method="some method",
        draws=10,
        binarisation=binarisation,
        seconds=1.0,
    )


class Replicas(NamedTuple):
    """Results of two models on 2,000 data sets of five, and their mean difference over x."""

    first: np.ndarray
    second: np.ndarray
    stderrs: np.ndarray
    truth: float


@pytest.fixture(scope="module")
def replicas():
    """Models that differ in the mean of p(x) alone, on draws from the first one.

    The difference of their log p(x) is linear in x, and so exactly normal. Both posteriors are as
    wrong as each other, so that the biases cancel; the draws make about half of the variance.
    """
    one = one_layer_model()
    likelihood = read(one.likelihood)
    moved = likelihood.offset + np.array([0.1, -0.05, 0.1, 0.0])
    other = Model(one.prior, affine_normal(likelihood.matrix, moved, np.sqrt(likelihood.variance)))
    of_x = linear_gaussian.joint(one)
    mean, cov = of_x.mean[of_x.blocks[-1]], of_x.cov[of_x.blocks[-1], of_x.blocks[-1]]
    x = np.random.default_rng(2).multivariate_normal(mean, cov, REPLICAS * N).astype(np.float32)
    ev = [
        estimate(scaled(Params(model, exact_posterior(model)), 1.5), x, k=20, chunk=20, seed=seed)
        for seed, model in enumerate((one, other))
    ]
    shift = moved - likelihood.offset
    truth = 0.5 * shift @ np.linalg.solve(cov, shift)  # KL of two normals with one covariance
    return Replicas(ev[0].log_z, ev[1].log_z, np.hypot(ev[0].stderr, ev[1].stderr), truth)


def both(replicas, rows):
    return compare(
        result(replicas.first[rows], direction="lower"),
        result(replicas.second[rows], direction="lower"),
    )


@pytest.mark.stat
def test_interval_covers_as_often_as_it_says(replicas):
    # 2,000 intervals from five data each: 0.95 within 4.9 binomial standard errors (false-alarm
    # rate 1e-6). Normal quantiles would cover 0.88, and the draws' error added once more 0.998.
    found = [both(replicas, slice(i, i + N)) for i in range(0, REPLICAS * N, N)]
    low, high = np.array([comparison.interval for comparison in found]).T
    covered = np.mean((low < replicas.truth) & (replicas.truth < high))
    assert abs(covered - 0.95) < LIMIT * np.sqrt(0.95 * 0.05 / REPLICAS)


@pytest.mark.stat
def test_draws_are_part_of_the_spread_over_data(replicas):
    whole = both(replicas, slice(None))
    draws = np.sqrt(np.mean(replicas.stderrs**2, dtype=np.float64))
    spread = whole.stderr_data * np.sqrt(REPLICAS * N)
    assert 0.3 < draws**2 / spread**2 < 0.9


def test_pairing_narrows_the_interval(replicas):
    whole = both(replicas, slice(None))
    assert whole.stderr_data < 0.35 * whole.stderr_unpaired
    unpaired = np.hypot(replicas.first.std(ddof=1), replicas.second.std(ddof=1))
    assert whole.stderr_unpaired == pytest.approx(unpaired / np.sqrt(REPLICAS * N), rel=1e-4)


def test_numbers_are_those_of_the_formulas():
    a = result([-90.0, -100.0, -80.0, -94.0], direction="lower", stderr=0.3)
    b = result([-91.0, -100.0, -84.0, -93.0], direction="upper", stderr=0.4)
    found = compare(a, b)
    np.testing.assert_array_equal(found.difference, [1, 0, 4, -1])
    np.testing.assert_allclose(found.stderr, 0.5, rtol=1e-6)
    assert found.mean == 1
    assert found.wins == (2, 1)
    assert found.stderr_data == pytest.approx(np.sqrt(14 / 3) / 2)
    assert found.stderr_draws == pytest.approx(0.25)
    assert found.bias == pytest.approx(-(0.3**2 + 0.4**2) / 2)
    expected = stats.t.interval(0.95, 3, loc=1, scale=found.stderr_data)
    np.testing.assert_allclose(found.interval, expected, rtol=1e-12)
    back = compare(b, a)
    assert (back.mean, back.wins, back.direction) == (-1, (1, 2), "upper")
    assert (found.direction, found.directions) == ("lower", ("lower", "upper"))


@pytest.mark.parametrize(
    ("first", "second", "direction"),
    [
        ("exact", "exact", "exact"),
        ("lower", "exact", "lower"),
        ("lower", "upper", "lower"),
        ("exact", "upper", "lower"),
        ("upper", "lower", "upper"),
        ("upper", "exact", "upper"),
        ("exact", "lower", "upper"),
        ("lower", "lower", "none"),
        ("upper", "upper", "none"),
        ("consistent", "exact", "none"),
        ("lower", "consistent", "none"),
    ],
)
def test_direction_follows_from_those_of_both(first, second, direction):
    a, b = result([-3.0, -4.0], direction=first), result([-3.5, -5.0], direction=second)
    found = compare(a, b)
    assert found.direction == direction
    words = {
        "exact": "both exact: the difference itself",
        "none": "no bound on the difference",
    }.get(direction, f"a stochastic {direction} bound on the difference")
    assert words in found.summary()


@pytest.mark.stat
def test_a_bound_less_an_exact_value_errs_to_its_side():
    parts = scaled(linear_gaussian.exact_parts(1), 1.7)
    x = linear_gaussian.data(10_000)
    exact = result(linear_gaussian.log_evidence(parts.model, x), direction="exact")
    ev = estimate(parts, x, k=20, chunk=20)
    found = compare(result(ev.log_z, direction="lower", stderr=ev.stderr.mean()), exact)
    assert found.direction == "lower"
    assert found.mean < -LIMIT * found.stderr_data
    assert abs(found.mean / found.bias - 1) < 0.5


def test_summary_says_what_the_difference_is():
    a = result([-90.0, -100.0, -80.0, -94.0], direction="lower", stderr=0.3)
    b = result([-91.0, -100.0, -84.0, -93.0], direction="lower", stderr=0.4)
    lines = compare(a, b).summary().splitlines()
    assert lines == [
        "log p_a(x) - log p_b(x) = 1.000 nats per datum, 95 % interval [-2.437, 4.437] "
        "(n=4; binarisation: none (values as they are))",
        "  standard error 1.080 from the data, paired (5.339 unpaired), of which 0.250 from "
        "the draws",
        "  a better on 2 data, b on 1",
        "  both a stochastic lower bound: no bound on the difference; first-order bias of the "
        "draws +0.035, not in the interval",
    ]


def test_what_has_no_difference_is_not_hidden():
    alone = compare(result([-1.0], direction="exact"), result([-2.0], direction="exact"))
    assert alone.mean == 1
    assert np.all(np.isnan(alone.interval))
    a = result([-np.inf, -np.inf], direction="lower")
    b = result([-np.inf, -3.0], direction="lower")
    found = compare(a, b)
    assert np.isnan(found.mean)
    assert found.wins == (0, 1)


def test_results_on_other_data_are_refused():
    a = result([-1.0, -2.0], direction="lower")
    with pytest.raises(UsageError, match="same data, got 2 and 3 data"):
        compare(a, result([-1.0, -2.0, -3.0], direction="lower"))
    grey = result([-1.0, -2.0], direction="exact", binarisation="one draw per item")
    with pytest.raises(UsageError, match="'one draw per item': log p"):
        compare(a, grey)
    with pytest.raises(UsageError, match="expected b to be an Estimate, .* got ndarray"):
        unchecked(a, np.zeros(2))
