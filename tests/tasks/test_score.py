"""Scores against the exact densities of normals and of their mixtures, and p-values by their law.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each), laws of
p-values at the level 1e-6 of the Kolmogorov-Smirnov distance of two samples.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import tightbound as tb
from tests.models import test_conditions as conditions
from tests.models.test_holes import holed, linear, truth
from tests.tasks.test_predictive import COVARIANCES, MEANS, ROWS, SHARES, conditional, mixture
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions import BernoulliComponents, Categorical
from tightbound.models import Model
from tightbound.tasks import score
from tightbound.tasks.conformal import p_values


def exact_log_p(row):
    """Log p of what is known of a row under the mixture, in float64."""
    parts = [conditional(*of, row)[0] for of in zip(MEANS, COVARIANCES, strict=True)]
    return np.logaddexp.reduce(np.log(SHARES) + parts)


def without(row, *places):
    row = np.array(row, np.float64)
    row[list(places)] = np.nan
    return row


def inliers(n, seed=0):
    keys = jax.random.split(jax.random.key(seed), n)
    return np.array(jax.vmap(mixture().sample)(keys)[0])


def test_of_a_mixture_of_normals_scores_and_cells_are_exact():
    found = score(mixture(), None, ROWS, blame=range(5), key=0)
    assert found.p_value is None
    assert found.verdict == "trust"
    assert not found.stderr.any()
    for number, row in enumerate(ROWS.astype(np.float64)):
        whole = exact_log_p(row)
        assert found.log_p[number] == pytest.approx(whole, abs=1e-5)
        for place in range(3):
            cell = found.conditional[number, place]
            if np.isnan(row[place]):
                assert np.isnan(cell)
            else:
                assert cell == pytest.approx(whole - exact_log_p(without(row, place)), abs=1e-5)
    assert not np.nan_to_num(found.conditional_stderr).any()


@pytest.mark.slow
@pytest.mark.stat
def test_of_a_linear_gaussian_model_by_draws_of_the_prior():
    model, _, _ = linear()
    x = holed()
    found = score(model, model.prior, x, blame=range(len(x)), k=2000, key=1)
    assert np.all(np.abs(found.log_p - truth(x)) < LIMIT * found.stderr + 2e-4)
    away = []
    for row, place in np.argwhere(~np.isnan(x)):
        right = truth(x[row : row + 1]) - truth(without(x[row], place)[None])
        error = found.conditional_stderr[row, place]
        assert error > 0
        away.append((found.conditional[row, place] - right[0]) / (error + 1e-4))
    away = np.array(away)
    assert np.abs(away).max() < LIMIT
    # The errors are no idle ones: they explain what is off, and not ten times as much.
    assert 0.3 < np.sqrt(np.mean(away**2)) < 2


def test_p_values_count_ties_as_lower():
    calibration = np.array([1.0, 2.0, 2.0, 3.0])
    found = p_values(np.array([0.0, 1.0, 2.0, 2.5, 9.0, -np.inf]), calibration)
    np.testing.assert_allclose(found, [0.2, 0.4, 0.8, 0.8, 1.0, 0.2])
    np.testing.assert_allclose(p_values(np.array([2.0 - 1e-12]), calibration), 0.8)
    assert p_values(np.array([5.0]), np.empty(0)) == 1


M, N = 1500, 1500


def apart(p):
    """The distance of p-values from uniform, and the two samples' bound of level 1e-6 on it."""
    bound = np.sqrt(np.log(2 / 1e-6) / 2 * (1 / M + 1 / len(p))) + 1 / (M + 1)
    return scipy.stats.kstest(p, "uniform").statistic, bound


@pytest.mark.stat
def test_p_values_of_inliers_are_uniform_with_holes_too():
    x, calibration = inliers(N, 1), inliers(M, 2)
    hidden = np.random.default_rng(3).random(x.shape) < 0.3
    x = np.where(hidden, np.float32(np.nan), x)
    found = score(mixture(), None, x, calibration=calibration, blame=0.0)
    distance, bound = apart(found.p_value)
    assert distance < bound
    assert (found.compared == M).all()
    assert not len(found.rows)
    # Without the same holes in the calibration rows they are not.
    whole = score(mixture(), None, calibration).log_p
    distance, bound = apart(p_values(found.log_p, whole))
    assert distance > 2 * bound
    # Nor under a shift.
    moved = score(mixture(), None, x + np.float32(1), calibration=calibration, blame=0.0)
    assert apart(moved.p_value)[0] > 2 * apart(moved.p_value)[1]


@pytest.mark.stat
def test_p_values_are_valid_whatever_draws_of_z_make_of_the_scores():
    model, _, _ = linear()
    keys = jax.random.split(jax.random.key(4), M + 500)
    x = np.asarray(jax.vmap(model.sample)(keys)[0])
    found = score(model, model.prior, x[:500], calibration=x[500:], blame=0.0, k=3)
    assert found.stderr.mean() > 0.1
    distance, bound = apart(found.p_value)
    assert distance < bound


def test_calibration_rows_count_where_they_know_as_much():
    calibration = inliers(40, 5)
    calibration[:25, 0] = np.nan
    calibration[30:, 1] = np.nan
    x = inliers(4, 6)
    x[1, 0], x[2, :2], x[3] = np.nan, np.nan, np.nan
    found = score(mixture(), None, x, calibration=calibration)
    assert found.compared.tolist() == [5, 30, 40, 40]
    low = [
        sum(
            exact_log_p(np.where(np.isnan(row), np.nan, other)) <= exact_log_p(row)
            for other in calibration.astype(np.float64)
            if not np.isnan(other[~np.isnan(row)]).any()
        )
        for row in x[:3].astype(np.float64)
    ]
    np.testing.assert_allclose(found.p_value[:3], (1 + np.array(low)) / ([6, 31, 41]))
    assert found.p_value[3] == 1
    none = score(mixture(), None, x[:1], calibration=calibration[:3])
    assert (none.compared[0], none.p_value[0]) == (0, 1)


def test_the_cell_that_is_off_is_blamed_whatever_the_units():
    x, calibration = inliers(30, 7), inliers(200, 8)
    wrong = np.arange(30) % 3
    x[np.arange(30), wrong] += 12
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(x, columns=["age", "height", "weight"])
    found = score(mixture(), None, frame, calibration=calibration)
    assert (found.p_value == 1 / 201).all()
    assert found.rows.tolist() == list(range(30))
    first = [found.blame(row)[0] for row in range(30)]
    assert [cell.place for cell in first] == wrong.tolist()
    assert all(cell.below > 5 for cell in first)
    words = str(first[1])
    assert words.startswith(f"height = {x[1, 1]:.6g}: {first[1].below:.1f} ± 0.0 nats less likely")
    assert words.endswith("than the median of 50 calibration rows")
    # In other units each density is another number, and the blame the same.
    unit = np.array([1e-3, 1.0, 1e3], np.float32)
    other = mixture(means=MEANS * unit, covariances=COVARIANCES * np.outer(unit, unit))
    scaled = score(other, None, x * unit, calibration=calibration * unit)
    below = [[cell.below for cell in scaled.blame(row)] for row in range(30)]
    before = [[cell.below for cell in found.blame(row)] for row in range(30)]
    np.testing.assert_allclose(below, before, rtol=1e-3, atol=1e-3)
    shift = np.log(1e3)
    np.testing.assert_allclose(
        scaled.conditional - found.conditional, np.tile([shift, 0, -shift], (30, 1)), atol=1e-2
    )


@pytest.mark.slow
def test_what_is_usual_is_that_of_the_model_where_calibration_rows_are_few():
    row = np.array([[0.3, 9.0, -1.0]], np.float32)
    found = score(mixture(), None, row, blame=[0], key=3)
    assert found.usual_of == ("50 draws of the model",)
    drawn = inliers(2000, 9).astype(np.float64)
    right = np.median(
        [[exact_log_p(r) - exact_log_p(without(r, j)) for j in range(3)] for r in drawn], axis=0
    )
    spread = 1.25 * np.std(drawn[:, 0]) / np.sqrt(50)
    assert np.all(np.abs(found.usual[0] - right) < LIMIT * spread)
    assert found.blame(0)[0].place == 1
    few = score(mixture(), None, row, blame=[0], calibration=inliers(10, 10))
    assert few.usual_of == ("50 draws of the model",)
    with pytest.raises(UsageError, match="not looked at"):
        few.blame(1)


@pytest.mark.slow
def test_rows_keep_their_conditions():
    model, posterior = conditions.linear()
    x, c = conditions.drawn(6, holes=True)
    usual, given = conditions.drawn(30, seed=1)
    rows, calibration = (
        tb.source(model, values, conditions=beside) for values, beside in ((x, c), (usual, given))
    )
    # Draws of the exact posterior have even weights.
    found = score(model, posterior, rows, calibration=calibration, blame=range(6), k=20)
    np.testing.assert_allclose(found.log_p, conditions.truth(x, c), atol=1e-3)
    for row in range(6):
        low = conditions.truth(np.where(np.isnan(x[row]), np.nan, usual), given)
        right = (1 + np.sum(low <= conditions.truth(x, c)[row])) / 31
        assert found.p_value[row] == pytest.approx(right if row else 1)
        for place in np.flatnonzero(~np.isnan(x[row])):
            less = conditions.truth(without(x[row], place)[None], c[row : row + 1])
            cell = found.conditional[row, place]
            assert cell == pytest.approx(conditions.truth(x, c)[row] - less[0], abs=2e-3)
    drawn = score(model, posterior, rows, blame=[1], k=20)
    assert drawn.usual_of == ("50 draws of the model",)


def test_grey_values_are_binarised_once_for_all_scores_of_a_row():
    logits = jnp.array([[2.0, -1.0, 0.5, 0.0], [-1.5, 0.5, 1.0, 2.0]])
    model = Model(Categorical(jnp.zeros(2)), BernoulliComponents(logits))
    grey = np.random.default_rng(0).random((8, 4)).astype(np.float32)
    found = score(model, None, grey, calibration=grey[::-1], blame=range(8), key=5)
    assert set(np.unique(found.values)) == {0, 1}
    a = np.asarray(logits, np.float64)
    each = -np.log1p(np.exp(-a * (2 * found.values[:, None] - 1)))

    def log_p(columns):
        return np.logaddexp.reduce(np.sum(each[..., list(columns)], axis=-1), axis=1) + np.log(0.5)

    np.testing.assert_allclose(found.log_p, log_p(range(4)), atol=1e-5)
    for place in range(4):
        rest = [j for j in range(4) if j != place]
        right = log_p(range(4)) - log_p(rest)
        np.testing.assert_allclose(found.conditional[:, place], right, atol=1e-5)


@pytest.mark.slow
def test_errors_that_are_lower_bounds_say_so():
    model, _, _ = linear()
    x = np.array([[60.0, -60.0, 60.0, 0.0]], np.float32)  # far from all draws of the prior
    found = score(model, model.prior, x, blame=[0], k=100)
    assert found.verdict == "do not trust"
    assert found.at_least.all()
    assert " or more nats " in str(found.blame(0)[0])


def test_what_is_asked_wrongly_is_refused():
    for blame in (1.5, -0.1, float("nan"), [5], [-1], [0.5], "all", [True]):
        with pytest.raises(UsageError, match="blame"):
            score(mixture(), None, ROWS, blame=blame)
    with pytest.raises(UsageError, match="k >= 1"):
        score(mixture(), None, ROWS, k=0)
    with pytest.raises(UsageError, match="has no resume="):
        score(mixture(), None, ROWS, resume="x.npz")
    with pytest.raises(UsageError, match="expected 3 columns"):
        score(mixture(), None, ROWS, calibration=ROWS[:, :2])
