"""Estimators among others: pipelines, searches, routing of metadata, callbacks, compilation."""

import contextlib
import io

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.sklearn.conftest import gaussian
from tightbound.sklearn import DeepDetector, DeepImputer, DeepLatentModel
from tightbound.sklearn.callbacks import CallbackSupportMixin

pytestmark = pytest.mark.slow

X = gaussian(60, holes=0.1)
Y = (np.nan_to_num(X[:, 0]) > 1).astype(int)
WITH_CALLBACKS = hasattr(CallbackSupportMixin, "set_callbacks")
needs_callbacks = pytest.mark.skipif(not WITH_CALLBACKS, reason="scikit-learn has none before 1.9")


def classifier():
    # The default solver of scikit-learn 1.6 calls SciPy in a way that warns since.
    return LogisticRegression(solver="newton-cholesky")


def imputer(**settings):
    return DeepImputer(candidates="gaussian", random_state=0, **settings)


def test_pipelines_take_them_first_and_last():
    pipeline = make_pipeline(imputer(), classifier()).fit(X, Y)
    assert pipeline.score(X, Y) > 0.8
    last = make_pipeline(StandardScaler(), DeepDetector(candidates="gaussian", random_state=0))
    assert set(last.fit(X).predict(X)) <= {-1, 1}
    middle = make_pipeline(
        imputer(), DeepLatentModel(candidates="mixture", random_state=0), classifier()
    )
    assert middle.fit(X, Y).predict(X).shape == (60,)
    assert pipeline[:-1].get_feature_names_out().tolist() == ["x0", "x1", "x2"]


def test_columns_of_a_frame_go_to_them():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    split = ColumnTransformer(
        [("holes", imputer(), ["a", "b"])], remainder="drop", verbose_feature_names_out=False
    )
    found = split.set_output(transform="pandas").fit_transform(frame)
    assert found.columns.tolist() == ["a", "b"]
    assert not found.isna().to_numpy().any()


def test_searches_choose_among_candidates():
    model = DeepLatentModel(random_state=0)
    search = GridSearchCV(model, {"candidates": ["gaussian", ("mixture",)]}, cv=2).fit(X)
    assert search.best_params_["candidates"] in ("gaussian", ("mixture",))
    best = search.cv_results_["mean_test_score"].max()
    assert search.best_score_ == best
    assert np.isfinite(best)
    pipeline = Pipeline([("impute", imputer()), ("classify", classifier())])
    assert cross_val_score(pipeline, X, Y, cv=3).shape == (3,)


def test_scores_of_folds_are_means_of_log_densities():
    model = DeepLatentModel(candidates="gaussian", random_state=0)
    found = cross_val_score(model, X, cv=2)
    halves = [(X[30:], X[:30]), (X[:30], X[30:])]
    truth = [model.fit(train).score(test) for train, test in halves]
    np.testing.assert_allclose(found, truth, rtol=1e-9)


def test_metadata_are_routed_past_them():
    weights = np.linspace(0, 1, 60)
    with sklearn.config_context(enable_metadata_routing=True):
        for estimator in (imputer(), DeepLatentModel(), DeepDetector()):
            asked = estimator.get_metadata_routing()
            for method in ("fit", "transform", "predict", "score"):
                assert not getattr(asked, method).requests
        weighted = classifier().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(imputer(), weighted).fit(X, Y, sample_weight=weights)
        plain = make_pipeline(imputer(), classifier()).fit(X, Y)
        assert (pipeline[-1].coef_ != plain[-1].coef_).all()
        with pytest.raises(TypeError, match="sample_weight"):
            imputer().fit(X, sample_weight=weights)


class Told:
    """A callback that writes down what it is told."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.events.append(("begin", X.shape))
        assert not hasattr(estimator, "run_")

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append(("end", X.shape))
        self.ready = fitted_estimator

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))


@needs_callbacks
def test_callbacks_are_told_of_a_fit():
    told = Told()
    model = DeepLatentModel(candidates="gaussian", random_state=0).set_callbacks(told).fit(X)
    assert told.events == [
        ("setup", "fit"), ("begin", (60, 3)), ("end", (60, 3)), ("teardown", "fit"),
    ]  # fmt: skip
    np.testing.assert_array_equal(told.ready.score_samples(X), model.score_samples(X))
    assert not [name for name in vars(model) if "callback" in name and "skl" not in name]


@needs_callbacks
def test_callbacks_are_torn_down_where_the_fit_fails():
    told = Told()
    with pytest.raises(ValueError, match="candidate"):
        DeepLatentModel(candidates="none").set_callbacks(told).fit(X)
    assert [event for event, _ in told.events] == ["setup", "begin", "teardown"]


@needs_callbacks
def test_scikit_learns_own_callbacks_work():
    from sklearn.callback import ProgressBar, ScoringMonitor

    monitor = ScoringMonitor(scoring={"log_p": lambda estimator, X, y: estimator.score(X)})
    model = DeepLatentModel(candidates="gaussian", random_state=0)
    with contextlib.redirect_stdout(io.StringIO()):
        model.set_callbacks(monitor, ProgressBar()).fit(X, Y)
    (entry,) = monitor.get_logs().data
    assert entry["log_p"] == pytest.approx(model.score(X))
    pipeline = make_pipeline(StandardScaler(), imputer())
    with contextlib.redirect_stdout(io.StringIO()):
        pipeline.set_callbacks(ProgressBar()).fit(X, Y)


def test_without_callbacks_nothing_is_left_behind():
    model = imputer().fit(X)
    assert sorted(vars(model)) == sorted(
        [
            "candidates", "choice_", "coding_", "n_features_in_", "n_imputations", "random_state",
            "run_", "schema", "seed_",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("kind", [DeepLatentModel, DeepImputer, DeepDetector])
def test_equal_shapes_compile_once(kind, compilations):
    hole = np.random.default_rng(0).random((47, 3)) < 0.1

    def whole(seed):
        x = np.where(hole, np.nan, gaussian(47, seed=seed))
        estimator = kind(candidates="gaussian", random_state=0).fit(x)
        names = ("transform", "score_samples", "predict", "p_values")
        return [getattr(estimator, name)(x) for name in names if hasattr(estimator, name)]

    with compilations() as count:
        first = whole(0)
        assert count() > 0
    with compilations() as count:
        second = whole(1)
        assert count() == 0
    assert any(not np.array_equal(old, new) for old, new in zip(first, second, strict=True))
