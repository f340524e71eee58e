"""What `evaluate` refuses, how it treats grey values, and what it says."""

import inspect

import numpy as np
import pytest

from tests.evidence.toys import estimate, scaled
from tests.oracles.linear_gaussian import data, exact_parts, log_evidence
from tightbound.core.errors import UsageError
from tightbound.evidence import Evaluation, evaluate
from tightbound.evidence.verdict import Verdict
from tightbound.models import autoencoder
from tightbound.objectives import Params

EXACT = exact_parts(1)
# Without the run-time check of types, as users have it.
unchecked = inspect.unwrap(evaluate)


@pytest.fixture(scope="module")
def images():
    """Grey images, their binary version, and a model of them with its posterior."""
    rng = np.random.default_rng(9)
    grey = rng.random((6, 12)).astype(np.float32)
    binary = (rng.random((6, 12)) < grey).astype(np.float32)
    return grey, binary, Params(*autoencoder(grey, latent=2, hidden=(4,)))


def evaluation(**changes):
    """An evaluation with chosen numbers."""
    fields = {
        "log_evidence": np.array([-90.0, -100.0, -80.0, -94.0]),
        "stderr": np.array([0.1, 0.2, 0.3, 0.4]),
        "ess": np.array([10.0, 400.0, 600.0, 900.0]),
        "result": np.zeros(4, np.int32),
        "direction": "lower",
        "method": "importance sampling, k=1000",
        "diagnostics": {
            "khat": np.array([0.1, 0.2, 0.4, 0.6]),
            "elbo": np.array([-93.0, -103.0, -84.0, -99.0]),
            "jackknife": np.array([0.1, 0.1, 0.1, 0.3]),
        },
        "verdicts": ("trust", "more draws", "more draws", "do not trust"),
        "bound_by_k": {1: -95.0, 1000: -91.0},
        "draws": 1000,
        "binarisation": "one draw per item",
        "judgement": Verdict("more draws", "because of this", 0.1, 0.2),
        "seconds": 1.0,
        "annealed": None,
    }
    return Evaluation(**(fields | changes))


def errors_of(log_evidence, stderr):
    """An estimate with chosen values and errors alone."""
    n = {"ess": stderr, "result": np.zeros(len(stderr), np.int32), "diagnostics": {}}
    return evaluation(log_evidence=log_evidence, stderr=stderr, **n)


def test_standard_errors_of_the_mean():
    ev = evaluation()
    assert ev.mean == -91
    assert ev.stderr_draws == pytest.approx(np.sqrt(0.01 + 0.04 + 0.09 + 0.16) / 4)
    # Deviations 1, -9, 11, -3: sum of squares 212.
    assert ev.stderr_data == pytest.approx(np.sqrt(212 / 3) / 2)
    assert np.isnan(errors_of(np.array([-90.0]), np.array([0.1])).stderr_data)


def test_standard_error_of_the_draws_is_that_of_the_mean():
    # Over 300 keys the mean of 20 data spreads as the reported error says: the ratio of the two
    # standard deviations is 1 within 4.9 / sqrt(2 * 300).
    parts = scaled(exact_parts(1), 1.5)
    x = np.tile(data(20), (300, 1))
    ev = estimate(parts, x, k=200, chunk=50)
    means = ev.log_z.reshape(300, 20).mean(axis=1)
    reported = [errors_of(stderr, stderr).stderr_draws for stderr in ev.stderr.reshape(300, 20)]
    assert abs(means.std(ddof=1) / np.mean(reported) - 1) < 4.9 / np.sqrt(600)


def test_summary_says_what_the_number_is():
    lines = evaluation().summary().splitlines()
    assert lines[0] == (
        "log p(x) = -91.000 nats per datum, standard error 0.137 from the draws (stochastic lower "
        "bound, n=4; binarisation: one draw per item)"
    )
    assert [line.strip() for line in lines[1:]] == [
        "verdict: more draws (because of this)",
        "of the data by themselves: 1 trust, 2 more draws, 1 do not trust",
        "importance sampling, k=1000",
        "standard error 4.203 from the data; ELBO -94.75",
        "median ESS 500.0 of 1000, median k-hat 0.30; 4 ok",
    ]
    unsure = evaluation(at_least=np.array([False, True, False, False]))
    assert "standard error at least 0.137 from the draws" in unsure.summary()


def test_summary_begins_with_the_number_to_believe():
    better = evaluation(log_evidence=np.full(4, -85.0), method="annealing")
    lines = evaluation(recommended=better).summary().splitlines()
    assert lines[0].startswith("log p(x) = -85.000 nats per datum, standard error 0.137")
    assert lines[1].strip() == "by annealing"
    assert [line.strip() for line in lines].count("importance sampling, k=1000") == 1


def test_summary_of_a_few_draws_does_without_k_hat():
    ev = evaluate(EXACT.model, EXACT.posterior, data(3), k=10)
    assert "no k-hat" in ev.summary()
    assert "k=10 is too few to judge" in ev.summary()


def test_summary_leaves_out_data_without_k_hat():
    some = {"khat": np.array([0.1, 0.2, 0.4, np.nan])}
    assert "median k-hat 0.20" in evaluation(diagnostics=some).summary()


def test_evaluation_of_an_exact_posterior():
    parts, x = exact_parts(1), data(7)
    ev = evaluate(parts.model, parts.posterior, x, k=100)
    exact = log_evidence(parts.model, x)
    np.testing.assert_allclose(ev.log_evidence, exact, atol=1e-4)
    assert ev.mean == pytest.approx(exact.mean(), abs=1e-4)
    assert ev.stderr_data == pytest.approx(exact.std(ddof=1) / np.sqrt(7), rel=1e-4)
    assert list(ev.bound_by_k) == [1, 5, 50, 100]
    np.testing.assert_allclose(list(ev.bound_by_k.values()), exact.mean(), atol=1e-4)
    assert ev.verdict == "trust"
    assert ev.binarisation == "none (values as they are)"
    assert ev.k == 100
    assert ev.seconds > 0


def test_grey_values_are_binarised_and_said_to_be(images):
    grey, binary, parts = images
    auto = evaluate(parts.model, parts.posterior, grey, k=30)
    assert auto.binarisation == "one draw per item"
    dynamic = evaluate(parts.model, parts.posterior, grey, k=30, binarize="dynamic")
    np.testing.assert_array_equal(auto.log_evidence, dynamic.log_evidence)
    # Binary values are left alone: "auto" is "none", and binarising them changes nothing.
    as_they_are = evaluate(parts.model, parts.posterior, binary, k=30)
    assert as_they_are.binarisation == "none (values as they are)"
    for mode in ("none", "dynamic", "fixed:3"):
        again = evaluate(parts.model, parts.posterior, binary, k=30, binarize=mode)
        np.testing.assert_array_equal(again.log_evidence, as_they_are.log_evidence)


def test_a_fixed_binarisation_depends_on_its_seed_alone(images):
    grey, _, parts = images
    first = evaluate(parts.model, parts.posterior, grey, k=30, binarize="fixed:3")
    again = evaluate(parts.model, parts.posterior, grey, k=30, binarize="fixed:3")
    other = evaluate(parts.model, parts.posterior, grey, k=30, binarize="fixed:4")
    np.testing.assert_array_equal(first.log_evidence, again.log_evidence)
    assert first.binarisation == "fixed (drawn once, seed 3)"
    assert np.all(first.log_evidence != other.log_evidence)


def test_real_values_are_never_binarised():
    assert (
        evaluate(EXACT.model, EXACT.posterior, data(2), k=5).binarisation
        == "none (values as they are)"
    )


def test_refuses_values_outside_the_support(images):
    grey, binary, parts = images
    with pytest.raises(UsageError, match="row 0, column 0 .* expected 0 or 1"):
        evaluate(parts.model, parts.posterior, grey, k=5, binarize="none")
    for value, expected in ((np.inf, "a finite number"), (1.5, "1]")):
        bad = binary.copy()
        bad[4, 7] = value
        with pytest.raises(UsageError, match=f"row 4, column 7 .*{expected}"):
            evaluate(parts.model, parts.posterior, bad, k=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "expected k >= 1, got 0"),
        ({"k": -3}, "expected k >= 1, got -3"),
        ({"chunk": 0}, "expected chunk >= 1, got 0"),
        ({"batch_size": 0}, "expected batch_size >= 1, got 0"),
        ({"binarize": "always"}, "got 'always'"),
    ],
)
def test_refuses_options(images, options, message):
    _, binary, parts = images
    with pytest.raises(UsageError, match=message):
        evaluate(parts.model, parts.posterior, binary, **options)


def test_refuses_another_width(images):
    _, binary, parts = images
    with pytest.raises(UsageError, match="expected 12 columns, as many as the model has, got 11"):
        evaluate(parts.model, parts.posterior, binary[:, 1:], k=5)


def test_refuses_another_rank(images):
    _, binary, parts = images
    with pytest.raises(UsageError, match=r"expected shape \(n, d\), got \(12,\)"):
        unchecked(parts.model, parts.posterior, binary[0], k=5)
    with pytest.raises(UsageError, match=r"items of shape \(12,\) like the model's, got \(3, 2\)"):
        unchecked(parts.model, parts.posterior, binary.reshape(12, 3, 2), k=5)
    with pytest.raises(UsageError, match="expected at least one row"):
        unchecked(parts.model, parts.posterior, binary[:0], k=5)


def test_refuses_what_is_no_posterior(images):
    _, binary, parts = images
    with pytest.raises(UsageError, match="expected a posterior, got NoneType"):
        unchecked(parts.model, None, binary, k=5)
