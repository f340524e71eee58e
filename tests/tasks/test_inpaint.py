"""Filled holes and their log-score against the exact conditionals of mixtures and of normals.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import jax
import numpy as np
import pytest

import tightbound as tb
from tests.likelihoods.test_degraded import bits
from tests.models.test_holes import linear
from tests.oracles import linear_gaussian as oracle
from tests.tasks.test_predictive import COVARIANCES, MEANS, SHARES, conditional, mixture
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.tasks.images import WORDS, mask_of

X = np.array([[0.3, -1.0, 0.5], [2.0, 0.2, np.nan], [1.0, -2.0, 0.2]], np.float32)
MASK = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]], bool)


def test_of_a_mixture_of_normals_all_is_exact():
    found = tb.tasks.inpaint(mixture(), None, X, MASK, draws=3, key=0)
    hidden = MASK | np.isnan(X)
    np.testing.assert_array_equal(found.hidden, hidden)
    np.testing.assert_array_equal(found.seen, np.where(hidden, np.nan, X))
    np.testing.assert_array_equal(found.x[~hidden], X[~hidden])
    assert (found.draws[:, ~hidden] == X[~hidden]).all()
    assert not found.stderr.any()
    assert np.isnan(found.log_score[2])
    for number in (0, 1):
        seen, whole = (
            [conditional(*of, row) for of in zip(MEANS, COVARIANCES, strict=True)]
            for row in (found.seen[number].astype(np.float64), X[number].astype(np.float64))
        )
        log_p = np.log(SHARES) + [part[0] for part in seen]
        total = np.logaddexp.reduce(log_p)
        mean = np.exp(log_p - total) @ np.array([part[1] for part in seen])
        np.testing.assert_allclose(found.x[number][hidden[number]], mean, atol=1e-5)
        assert found.log_evidence[number] == pytest.approx(total, abs=1e-5)
        score = np.logaddexp.reduce(np.log(SHARES) + [part[0] for part in whole]) - total
        assert found.log_score[number] == pytest.approx(score, abs=2e-5)
    assert "in 2 of 3 images; log p(hidden | seen) = " in found.summary()


@pytest.mark.stat
def test_of_a_linear_gaussian_model_by_weights():
    model, _, affine = linear()
    x = oracle.data(20, seed=4)
    found = tb.tasks.inpaint(model, model.prior, x.reshape(20, 2, 2), "left half", k=4000, key=1)
    cov = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    for number, row in enumerate(x.astype(np.float64)):
        seen = np.where([True, False, True, False], np.nan, row)
        log_p, mean, _ = conditional(affine.offset, cov, seen)
        off = found.x[number, :, 0] - mean
        assert np.all(np.abs(off) < LIMIT * found.stderr[number, :, 0])
        score = conditional(affine.offset, cov, row)[0] - log_p
        assert abs(found.log_score[number] - score) < LIMIT * found.log_score_stderr[number]
    assert not found.stderr[:, :, 1].any()


def test_binary_images_are_scored_by_what_the_model_sees():
    grey = np.random.default_rng(0).random((4, 8)).astype(np.float32)
    found = tb.tasks.inpaint(bits(), None, grey, "random 50%", draws=2, key=2)
    again = tb.tasks.inpaint(bits(), None, grey[:2], "random 50%", draws=2, key=2)
    assert set(np.unique(found.seen[~found.hidden])) == {0, 1}
    np.testing.assert_array_equal(found.seen[:2], again.seen)
    np.testing.assert_allclose(found.log_score[:2], again.log_score, rtol=1e-6)
    whole = tb.tasks.inpaint(bits(), None, grey, np.ones(8, bool), draws=2, key=2)
    exact = tb.evidence.exact(bits(), grey, key=2).log_evidence
    np.testing.assert_allclose(whole.log_score, exact, atol=1e-5)  # nothing is seen: log p(x)


def masks(words, shape, n=2):
    found = mask_of(words, shape, shape, n, jax.random.key(0))
    return found.reshape(n, *shape)


def test_words_hide_what_they_say():
    ones = np.ones((4, 6), bool)
    assert masks("left half", (4, 6))[0, :, :3].all()
    assert masks("right half", (4, 6))[0, :, 3:].all()
    assert masks("upper half", (4, 6))[1, :2].all()
    assert masks("lower half", (4, 6))[1, 2:].all()
    for words in WORDS[:4]:
        assert masks(words, (4, 6)).sum() == ones.sum()
        assert masks(words, (3, 5, 2)).sum() in (2 * 2 * 6, 2 * 2 * 5)
    assert masks("centre", (28, 28))[0, 7:21, 7:21].all()
    assert masks("centre", (28, 28)).sum() == 2 * 14 * 14
    random = masks("random 30%", (100, 100, 3))
    assert (random.all(axis=3) == random.any(axis=3)).all()
    # 20,000 pixels: fails by chance below 1e-6.
    assert abs(random[..., 0].mean() - 0.3) < LIMIT * np.sqrt(0.21 / 20_000)
    assert (random[0] != random[1]).any()


def test_arrays_of_any_sensible_shape_are_masks():
    for shape in ((12,), (2, 3, 2), (5, 2, 3, 2), (5, 12)):
        found = mask_of(np.ones(shape, int), (2, 3, 2), (2, 3, 2), 5, jax.random.key(0))
        assert found.shape == (5, 12)
    of_pixels = np.arange(6).reshape(2, 3) < 2
    found = mask_of(of_pixels, (2, 3, 2), (2, 3, 2), 5, jax.random.key(0))
    np.testing.assert_array_equal(found.reshape(5, 2, 3, 2)[4, :, :, 1], of_pixels)


@pytest.mark.parametrize(
    ("mask", "how", "words"),
    [
        (None, {}, "nothing is hidden"),
        ("left", {}, "expected mask to be one of left half"),
        ("random 0%", {}, "random 1% to 100%"),
        ("random 101%", {}, "random 1% to 100%"),
        ("left half", {}, r"expected shape=\(height, width\)"),
        ("left half", {"shape": (3, 3)}, "of 8 values in all"),
        (np.full(8, 0.5), {}, "as truth values, or as 0 and 1"),
        (np.full(8, np.nan), {}, "as truth values, or as 0 and 1"),
        (np.array(["a"] * 8), {}, "as truth values, or as 0 and 1"),
        (np.ones(7, bool), {}, r"of an item's shape, \(8,\), or one for each of 2 items"),
    ],
)
def test_masks_that_are_none_are_refused(mask, how, words):
    with pytest.raises(UsageError, match=words):
        tb.tasks.inpaint(bits(), None, np.zeros((2, 8), np.float32), mask, **how)
