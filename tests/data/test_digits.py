import numpy as np
import pytest
from sklearn.datasets import load_digits

from tightbound import data
from tightbound.core.errors import UsageError


def test_digits_are_those_of_scikit_learn():
    ds = data.load("digits")
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (1_297, 200, 300)
    assert ds.shape == (8, 8)
    assert ds.units == "grey"
    assert ds.split == ("default: shuffled once (seed 0), 1,297 train, 200 validation, 300 test")
    order = np.random.RandomState(0).permutation(1_797)
    raw, target = load_digits(return_X_y=True)
    parts = np.concatenate([ds.train, ds.validation, ds.test])
    assert parts.dtype == np.float32
    np.testing.assert_array_equal(parts * 16, raw[order])
    labels = np.concatenate([ds.labels[part] for part in ("train", "validation", "test")])
    np.testing.assert_array_equal(labels, target[order])


def test_every_digit_in_every_part():
    ds = data.load("digits")
    assert all(set(labels) == set(range(10)) for labels in ds.labels.values())


def test_has_no_files_and_one_split():
    with pytest.raises(UsageError, match="embedded"):
        data.load("digits", path="somewhere")
    with pytest.raises(
        UsageError, match="expected split of digits to be one of default, got 'iwae'"
    ):
        data.load("digits", split="iwae")


def test_other_values_are_refused(monkeypatch):
    import sklearn.datasets

    monkeypatch.setattr(
        sklearn.datasets, "load_digits", lambda **_: (np.zeros((1_797, 64)), np.zeros(1_797))
    )
    with pytest.raises(UsageError, match="expected values of sha256 8f26b2bd"):
        data.load("digits")
