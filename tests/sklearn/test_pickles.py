"""Pickles hold files of ours, and nothing of our modules but the estimator."""

import copy
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tests.sklearn.conftest import gaussian, mixed
from tightbound.sklearn import DeepDetector, DeepImputer, DeepLatentModel

pytestmark = pytest.mark.slow

X = gaussian(40, holes=0.1)
KINDS = (DeepLatentModel, DeepImputer, DeepDetector)
PLAIN = {"numpy", "builtins", "copyreg", "_codecs"}
"""Modules that pickles of plain values and arrays name."""


def results(estimator, x=X):
    names = ("transform", "score_samples", "predict")
    return [getattr(estimator, name)(x) for name in names if hasattr(estimator, name)]


def fitted(kind):
    return kind(candidates="gaussian", random_state=0).fit(X)


@pytest.fixture(scope="module")
def of_words():
    frame = pd.DataFrame(mixed())
    schema = DeepImputer(candidates="mixture", random_state=0).fit(frame).schema_
    return DeepImputer(candidates="mixture", schema=schema, random_state=0).fit(frame), frame


@pytest.mark.parametrize("kind", KINDS)
def test_pickles_and_copies_give_the_same_bits(kind, tmp_path):
    estimator = fitted(kind)
    joblib.dump(estimator, tmp_path / "estimator")
    for again in (
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
        copy.copy(estimator),
        joblib.load(tmp_path / "estimator"),
    ):
        for old, new in zip(results(estimator), results(again), strict=True):
            np.testing.assert_array_equal(old, new)
        assert again.choice_ == estimator.choice_
        assert again.schema_ == estimator.schema_


@pytest.mark.slow
def test_pickles_of_words_give_the_same_bits(of_words):
    estimator, frame = of_words
    again = pickle.loads(pickle.dumps(estimator))
    pd.testing.assert_frame_equal(estimator.transform(frame), again.transform(frame))
    assert again.schema == estimator.schema
    assert again.coding_ == estimator.coding_


class Asked(pickle.Unpickler):
    """Writes down which classes and functions a pickle asks for."""

    def find_class(self, module, name):
        self.names.add(f"{module}.{name}")
        return super().find_class(module, name)


def classes_in(estimator):
    reader = Asked(io.BytesIO(pickle.dumps(estimator)))
    reader.names = set()
    reader.load()
    return reader.names


def test_nothing_of_ours_is_pickled_but_the_estimator(of_words):
    for estimator in (*map(fitted, KINDS), of_words[0]):
        kind = type(estimator)
        names = classes_in(estimator)
        ours = {name for name in names if name.startswith(("tightbound", "jax", "equinox"))}
        assert ours == {f"{kind.__module__}.{kind.__name__}"}
        assert {name.partition(".")[0] for name in names - ours} <= PLAIN


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_numbers(tmp_path):
    estimator = fitted(DeepLatentModel)
    (tmp_path / "estimator.pkl").write_bytes(pickle.dumps(estimator))
    np.save(tmp_path / "x.npy", X)
    script = (
        "import pickle, sys, numpy as np\n"
        "folder = sys.argv[1]\n"
        "estimator = pickle.load(open(folder + '/estimator.pkl', 'rb'))\n"
        "np.save(folder + '/scores.npy', estimator.score_samples(np.load(folder + '/x.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=300)
    found = np.load(tmp_path / "scores.npy")
    np.testing.assert_allclose(found, estimator.score_samples(X), rtol=1e-9)


def test_damage_is_refused():
    state = fitted(DeepLatentModel).__getstate__()
    content = state["run_"]
    state["run_"] = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    estimator = DeepLatentModel()
    with pytest.raises(ValueError, match="the pickled DeepLatentModel is not a whole"):
        estimator.__setstate__(state)


def test_estimators_that_are_not_fitted_are_pickled_too():
    again = pickle.loads(pickle.dumps(DeepImputer(n_imputations=3, candidates=("gaussian",))))
    assert again.get_params()["n_imputations"] == 3
    with pytest.raises(AttributeError, match="this DeepImputer is not fitted yet"):
        _ = again.model_


def test_clones_are_not_fitted_and_have_the_same_settings(of_words):
    for estimator in (fitted(DeepDetector), of_words[0]):
        again = clone(estimator)
        assert not hasattr(again, "run_")
        assert again.get_params() == estimator.get_params()
