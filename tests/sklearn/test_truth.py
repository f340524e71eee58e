"""Estimators against closed forms of the normal law that they fitted."""

import pickle

import jax
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.sklearn.conftest import COVARIANCE, MEAN, gaussian
from tightbound.sklearn import DeepDetector, DeepImputer, DeepLatentModel

pytestmark = pytest.mark.slow


def law(estimator):
    """Mean and covariance of the one Gaussian that was fitted, in float64."""
    parts = estimator.model_.likelihood
    shift, scale = (
        np.asarray(of.values, np.float64) for of in (parts.warps.shift, parts.warps.scale)
    )
    mean = shift + scale * np.asarray(parts.numbers.means, np.float64)[0]
    covariance = np.asarray(parts.numbers.covariances(), np.float64)[0]
    return mean, np.outer(scale, scale) * covariance


def conditional(row, mean, covariance):
    """The row with the conditional mean in its holes, and the conditional covariance."""
    known = ~np.isnan(row)
    across = covariance[np.ix_(~known, known)] @ np.linalg.inv(covariance[np.ix_(known, known)])
    filled = row.copy()
    filled[~known] = mean[~known] + across @ (row[known] - mean[known])
    left = covariance[np.ix_(~known, ~known)] - across @ covariance[np.ix_(known, ~known)]
    return filled, left


@pytest.fixture(scope="module")
def imputer():
    return DeepImputer(candidates="gaussian", random_state=0).fit(gaussian(400, holes=0.15))


def test_holes_are_filled_by_the_conditional_mean(imputer):
    x = gaussian(50, seed=1, holes=0.3)
    found = imputer.transform(x)
    for row, filled in zip(x, found, strict=True):
        np.testing.assert_allclose(filled, conditional(row, *law(imputer))[0], atol=2e-4)
    known = ~np.isnan(x)
    assert (found[known] == x[known]).all()
    assert found.dtype == np.float64


@pytest.mark.stat
def test_imputations_have_the_conditional_law(imputer):
    row = np.array([0.3, np.nan, np.nan])
    filled, left = conditional(row, *law(imputer))
    draws = np.concatenate(imputer.sample(row[None], n_imputations=4000))
    assert draws.shape == (4000, 3)
    assert (draws[:, 0] == 0.3).all()
    # 5 standard errors each, so that 5 numbers are all within but once in 10^5.
    stderr = np.sqrt(np.diag(left) / 4000)
    assert (np.abs(draws[:, 1:].mean(axis=0) - filled[1:]) < 5 * stderr).all()
    spread = np.sqrt((np.outer(np.diag(left), np.diag(left)) + left**2) / 4000)
    assert (np.abs(np.cov(draws[:, 1:].T) - left) < 5 * spread).all()


def test_n_imputations_is_how_many_tables_there_are(imputer):
    x = gaussian(5, seed=2, holes=0.5)
    assert len(imputer.sample(x)) == imputer.n_imputations == 5
    tables = imputer.sample(x, n_imputations=3)
    assert len(tables) == 3
    hole = np.isnan(x)
    assert not np.isnan(tables).any()
    assert (np.ptp(tables, axis=0)[hole] > 0).all()
    assert (np.ptp(tables, axis=0)[~hole] == 0).all()


@pytest.mark.parametrize("kind", [DeepLatentModel, DeepDetector])
def test_scores_are_log_densities_in_nats(kind):
    estimator = kind(candidates="gaussian", random_state=0).fit(gaussian(300, holes=0.1))
    mean, covariance = law(estimator)
    x = gaussian(40, seed=3, holes=0.3)
    for row, found in zip(x, estimator.score_samples(x), strict=True):
        known = ~np.isnan(row)
        block = covariance[np.ix_(known, known)]
        truth = 0.0
        if known.any():
            truth = stats.multivariate_normal(mean[known], block).logpdf(row[known])
        assert abs(found - truth) < 1e-4
    held = tb.score(estimator.model_, estimator.posterior_, x, blame=[])
    np.testing.assert_array_equal(estimator.score_samples(x), held.log_p)


def test_the_score_is_the_mean():
    x = gaussian(100)
    model = DeepLatentModel(candidates="gaussian", random_state=0).fit(x)
    assert model.score(x) == pytest.approx(model.score_samples(x).mean(), rel=1e-12)
    assert model.choice_.chosen == "gaussian"
    assert np.isfinite(model.log_p_)


def test_latents_of_a_mixture_are_its_responsibilities():
    near, far = gaussian(150), gaussian(150, seed=1) + [12, 0, 0]
    x = np.concatenate([near, far])
    model = DeepLatentModel(candidates="mixture", random_state=0).fit(x)
    z = model.transform(x)
    np.testing.assert_allclose(z.sum(axis=1), 1, rtol=1e-12)
    blocks = z[:150].mean(axis=0), z[150:].mean(axis=0)
    assert blocks[0].argmax() != blocks[1].argmax()
    truth = tb.tasks.encode(model.model_, model.posterior_, x)
    np.testing.assert_array_equal(z, truth)
    parts = model.model_.likelihood
    means = np.asarray(jax.vmap(parts.warps.inverse)(parts.numbers.means))
    np.testing.assert_allclose(model.inverse_transform(z), z @ means, atol=1e-4)
    names = [f"deeplatentmodel{k}" for k in range(z.shape[1])]
    assert model.get_feature_names_out().tolist() == names


@pytest.mark.stat
def test_draws_have_the_fitted_law():
    model = DeepLatentModel(candidates="gaussian", random_state=0).fit(gaussian(500))
    mean, covariance = law(model)
    draws = model.sample(5000)
    assert draws.shape == (5000, 3)
    # 5 standard errors each; 9 numbers are all within but once in 10^5.
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * np.sqrt(np.diag(covariance) / 5000)).all()
    spread = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / 5000)
    assert (np.abs(np.cov(draws.T) - covariance) < 5 * spread).all()
    np.testing.assert_array_equal(draws, model.sample(5000))
    assert model.sample().shape == (1, 3)


def test_draws_differ_where_the_seed_is_none():
    model = DeepLatentModel(candidates="gaussian").fit(gaussian(50))
    assert (model.sample(3) != model.sample(3)).all()


@pytest.fixture(scope="module")
def of_groups():
    """Two groups of inliers, and a tight one of outliers among the rows of the fit."""
    rng = np.random.default_rng(6)
    across, length = np.diag([1.0, 0.1]), np.array([0.0, 3.0])
    inliers = rng.normal(size=(500, 2)) @ across + np.where(rng.random((500, 1)) < 0.5, length, 0)
    outliers = rng.normal([12, 0], 0.05, size=(25, 2))
    detector = DeepDetector(candidates="mixture", random_state=0)
    return detector.fit(np.concatenate([inliers, outliers])), inliers, outliers


def test_the_score_is_the_lesser_of_the_model_s_and_of_one_gaussian_s(of_groups):
    detector, inliers, outliers = of_groups
    assert "mixture" in detector.choice_.chosen
    between, holed = np.array([[0.0, 1.5]]), np.array([[12.0, np.nan]])
    x = np.concatenate([inliers[:5], outliers[:5], between, holed])
    of_model, of_gaussian = (
        tb.score(run.model, run.posterior, x, blame=[]).log_p
        for run in (detector.run_, detector.gaussian_)
    )
    np.testing.assert_array_equal(detector.score_samples(x), np.minimum(of_model, of_gaussian))
    usual = np.quantile(detector.score_samples(inliers), 0.01)
    # Each sees what the other does not.
    assert (of_model[5:10] > usual).all()
    assert (of_gaussian[5:10] < usual).all()
    assert of_model[10] < usual < of_gaussian[10]


def test_p_values_are_of_the_lesser_score(of_groups):
    detector, inliers, outliers = of_groups
    x = np.concatenate([inliers[:20], outliers[:2]])
    usual = np.sort(detector.score_samples(detector.calibration_))
    lower = np.searchsorted(usual, detector.score_samples(x), side="right")
    np.testing.assert_allclose(detector.p_values(x), (1 + lower) / (len(usual) + 1), rtol=1e-12)
    x[:, 1] = np.nan
    shown = detector.calibration_.copy()
    shown[:, 1] = np.nan
    lower = np.searchsorted(
        np.sort(detector.score_samples(shown)), detector.score_samples(x), side="right"
    )
    np.testing.assert_allclose(detector.p_values(x), (1 + lower) / (len(usual) + 1), rtol=1e-12)


def test_pickles_keep_both_models(of_groups):
    detector, inliers, _ = of_groups
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(
        again.score_samples(inliers[:9]), detector.score_samples(inliers[:9])
    )


@pytest.mark.stat
def test_false_alarms_are_at_most_five_in_a_hundred():
    """199 held-out rows: of new ones a share with mean 0.05 and deviation 0.0154 is flagged."""
    detector = DeepDetector(candidates="gaussian", calibration_fraction=199 / 600, random_state=0)
    detector.fit(gaussian(600))
    assert len(detector.calibration_) == 199
    new = gaussian(5000, seed=4)
    flagged = detector.predict(new) == -1
    # The count is beta-binomial with 10 and 190: beyond these ends once in a million.
    assert 0.005 < flagged.mean() < 0.161
    p = detector.p_values(new)
    np.testing.assert_array_equal(flagged, p <= 0.05)
    np.testing.assert_array_equal(flagged, detector.decision_function(new) < 0)
    assert detector.predict(MEAN[None] + 9 * np.sqrt(np.diag(COVARIANCE))) == [-1]


def test_few_held_out_rows_leave_one_false_alarm_in_as_many():
    detector = DeepDetector(candidates="gaussian", random_state=0).fit(gaussian(40))
    assert len(detector.calibration_) == 8
    assert detector.offset_ == detector.score_samples(detector.calibration_).min()
    assert (detector.predict(detector.calibration_) == 1).all()


def test_contamination_is_the_share_of_outliers():
    x = gaussian(200)
    detector = DeepDetector(candidates="gaussian", contamination=0.1, random_state=0).fit(x)
    assert (detector.predict(x) == -1).sum() == 20
    np.testing.assert_array_equal(detector.fit_predict(x), detector.predict(x))


def test_p_values_compare_rows_under_the_same_holes():
    detector = DeepDetector(candidates="gaussian", random_state=0).fit(gaussian(300))
    x = gaussian(20, seed=5)
    x[:10, 1:] = np.nan
    truth = tb.score(
        detector.model_, detector.posterior_, x, calibration=detector.calibration_, blame=[]
    )
    np.testing.assert_array_equal(detector.p_values(x), truth.p_value)


@pytest.mark.parametrize("contamination", [0, 0.6, -0.1, "some", np.nan])
def test_other_contaminations_are_refused(contamination):
    with pytest.raises(ValueError, match='expected contamination as "auto", or above 0'):
        DeepDetector(contamination=contamination).fit(gaussian(30))


@pytest.mark.parametrize("fraction", [0.0, 1.0, 2, "half", np.nan])
def test_other_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match="expected calibration_fraction between 0 and 1"):
        DeepDetector(calibration_fraction=fraction).fit(gaussian(30))
