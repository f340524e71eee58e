"""Scikit-learn's own checks of estimators, none of which is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from tightbound.sklearn import DeepDetector, DeepImputer, DeepLatentModel

KINDS = (DeepLatentModel, DeepImputer, DeepDetector)
LEAST = 40
"""How many checks there are of each at least."""


class Reals(DeepLatentModel):
    """Checked with numbers as they are: those of estimators that take levels are rounded first."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = False
        return tags


class DetectorOfReals(DeepDetector):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = False
        return tags


def none_fails(estimator):
    """The checks that are expected to fail, each with its reason."""
    return {}


def checks_of(*estimators):
    """The checks as a list: scikit-learn 1.6 gives a generator, which pytest is to refuse."""
    mark = parametrize_with_checks(list(estimators), expected_failed_checks=none_fails)
    names, checks = mark.args
    return pytest.mark.parametrize(names, list(checks), **mark.kwargs)


@pytest.mark.slow
@checks_of(
    *(kind(candidates="gaussian") for kind in KINDS),
    Reals(candidates="mixture"),
    DetectorOfReals(candidates="gaussian", contamination=0.1),
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_checks_are_there(kind):
    assert len(list(estimator_checks_generator(kind()))) >= LEAST
