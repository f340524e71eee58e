"""Evaluations without settings: importance sampling of all data, corrected by the ladder."""

import dataclasses
import os
import shutil
from importlib import import_module

import numpy as np
import pytest

import tightbound as tb
from tests.runs.conftest import RUN, K
from tests.ztest import LIMIT
from tightbound import runs
from tightbound.cli.output import flat_record
from tightbound.core.errors import Interrupted, UsageError
from tightbound.data import load_arrays
from tightbound.models import plug_in
from tightbound.report import json_records, summary_lines
from tightbound.runs.question import question
from tightbound.runs.record import evaluation_record
from tightbound.runs.source import load_part
from tightbound.runs.table import per_datum

AUDITED = 6
batches = import_module("tightbound.evidence.batches")
importance = import_module("tightbound.evidence.importance.evaluation")
evaluating = import_module("tightbound.evidence.evaluate")


@pytest.fixture(scope="module")
def few():
    """The ladder looks at 6 of the 24 data, and there are several batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "AUDITED", AUDITED)
        patch.setattr(importance, "AT_ONCE", 1000)
        yield


@pytest.fixture(scope="module")
def evaluated(few, template, tmp_path_factory):
    """A folder with the run, its training data evaluated; the answer, and the library's own."""
    root = tmp_path_factory.mktemp("auto") / "work"
    shutil.copytree(template, root, ignore=lambda *_: ["kills"])
    before = os.getcwd()
    os.chdir(root)
    try:
        opened = tb.open_run(RUN)
        data = load_part(RUN, opened, "train").x
        answer = runs.evaluate_run(RUN, split="train")
        found = tb.evaluate(plug_in(opened.model), opened.posterior, data, key=0)
        truth = tb.evidence.exact(plug_in(opened.model), data).log_evidence
    finally:
        os.chdir(before)
    return root, answer, found, truth


@pytest.fixture
def work(evaluated, tmp_path, monkeypatch):
    """A copy of that folder, as the working directory."""
    shutil.copytree(evaluated[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return RUN


@pytest.mark.slow
@pytest.mark.stat
def test_the_record_is_what_the_library_says_without_settings(evaluated):
    root, answer, found, truth = evaluated
    record, (seed,) = answer.record, answer.record["seeds"]
    assert answer.path.name.startswith("train-auto-key0-")
    assert record["question"]["k"] is None
    assert not {"budget", "bounds_at"} & record["question"].keys()
    assert (record["k"], record["direction"]) == (5000, "consistent (no bound)")
    better, said = found.recommended, seed["recommended"]
    assert seed["log_evidence_mean"] == pytest.approx(found.mean, abs=1e-4)
    assert record["mean"] == said["log_evidence_mean"] == pytest.approx(better.mean, abs=1e-4)
    assert abs(record["mean"] - np.mean(truth)) < LIMIT * said["stderr_mean_mc"]
    assert said["shift"] == pytest.approx(better.shift, abs=1e-4)
    assert said["shift"] == pytest.approx(record["mean"] - seed["log_evidence_mean"], abs=1e-9)
    assert said["stderr_shift"] == pytest.approx(better.stderr_shift, rel=1e-2) != 0
    assert (record["verdict"], record["reason"]) == (said["verdict"], said["reason"])
    assert said["verdict"] == better.verdict
    assert seed["verdict"] == found.verdict
    assert (said["n"], said["method"]) == (AUDITED, better.method)
    assert said["evaluations"] == better.ladder.evaluations.sum()
    assert said["gradients"] == better.ladder.gradients.sum()
    # Over the data, and over the choice of those that the ladder looked at.
    of_data = np.std(better.log_evidence, ddof=1) / np.sqrt(len(truth))
    half = 1.96 * np.hypot(of_data, better.stderr_shift)
    assert record["interval"] == pytest.approx([better.mean - half, better.mean + half], abs=1e-3)
    assert "ladder" in record["interval_kind"]
    arrays = load_arrays(root / answer.path)
    looked = np.isin(np.arange(len(truth)), better.ladder.rows)
    for name in ("log_evidence", "stderr"):
        ladder = arrays[f"ladder_{name}"]
        assert ladder.shape == (1, len(truth))
        np.testing.assert_array_equal(np.isfinite(ladder[0]), looked)
        np.testing.assert_allclose(ladder[0, looked], getattr(better.ladder, name), atol=1e-4)


@pytest.mark.slow
def test_it_is_answered_from_its_record_and_any_other_is_a_question_of_its_own(work, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tightbound.runs.evaluation.evaluate", None)
        answer = runs.evaluate_run(work, split="train")
    assert answer.known
    columns = per_datum(answer)
    assert {len(column) for column in columns.values()} == {24}
    assert np.isnan(columns["ladder_stderr"]).sum() == 24 - AUDITED
    alone = runs.evaluate_run(work, k=K, split="train")
    assert not alone.known
    assert "recommended" not in alone.record["seeds"][0]
    assert "ladder_stderr" not in load_arrays(alone.path)
    assert json_records(work)["evaluation"]["split"] == "test", "of training data none leads"
    line = flat_record(work, work / "report.html", answer.record)
    (seed,) = answer.record["seeds"]
    assert line["importance_mean"] == seed["log_evidence_mean"]
    assert line["mean"] == pytest.approx(line["importance_mean"] + line["shift"], abs=1e-9)
    assert line["stderr_shift"] == seed["recommended"]["stderr_shift"]
    assert line["stderr_draws"] == pytest.approx(seed["recommended"]["stderr_mean_mc"])
    assert 1.96 * line["stderr"] == pytest.approx(line["high"] - line["mean"], rel=1e-5)
    rows = summary_lines(work)
    assert any("train log-likelihood, k = 5000 and ladder, key 0" in row for row in rows)


@pytest.mark.slow
def test_an_evaluation_killed_in_the_ladder_goes_on_to_the_same_numbers(
    evaluated, work, monkeypatch
):
    _, answer, _, _ = evaluated
    answer.path.unlink()
    calls = []
    check = batches._check_weights
    monkeypatch.setattr(batches, "_check_weights", lambda *of: calls.append(1) or check(*of))

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tightbound.evidence.resume.SECONDS", 0.0)
        patch.setattr(evaluating, "climbed", killed)
        with pytest.raises(Interrupted, match="the same command goes on"):
            runs.evaluate_run(work, split="train")
    assert list((work / "evaluations").glob(".*.npz"))
    before = len(calls)
    again = runs.evaluate_run(work, split="train")
    in_all = -(-24 // importance.per_device(1000, of_each=250))
    assert (before, len(calls) - before) == (in_all, 1), "the last is made anew"
    assert not list((work / "evaluations").glob(".*.npz"))
    assert again.path == answer.path
    assert _timeless(again.record) == _timeless(answer.record)
    mine, theirs = (load_arrays(path) for path in (again.path, evaluated[0] / answer.path))
    for name, array in theirs.items():
        np.testing.assert_array_equal(mine[name], array)


def _timeless(record):
    if isinstance(record, list):
        return [_timeless(entry) for entry in record]
    if not isinstance(record, dict):
        return record
    return {name: _timeless(entry) for name, entry in record.items() if name != "seconds"}


@pytest.mark.slow
def test_a_budget_is_part_of_the_question(work):
    answer = runs.evaluate_run(work, split="train", budget=" 100s ")
    assert not answer.known
    assert answer.path.name.startswith("train-auto-key0-")
    assert answer.record["question"]["budget"] == "100 s"
    assert runs.evaluate_run(work, split="train", budget="100 s").known
    with pytest.raises(UsageError, match="expected budget= as a whole number of evaluations"):
        runs.evaluate_run(work, budget="soon")
    with pytest.raises(UsageError, match="budget= is for the way without settings"):
        runs.evaluate_run(work, k=3, budget=100)


def test_questions_with_k_are_what_they_were():
    asked = {
        "split": "test",
        "key": 0,
        "chains": 16,
        "binarize": "auto",
        "weights": "a",
        "data": "b",
    }
    with_k = question(k=5000, temperatures=None, **asked).as_json()
    assert "budget" not in with_k
    assert list(with_k)[:3] == ["split", "k", "key"]
    # Annealing alone has the usual draws beside it.
    of_annealing = question(k=None, temperatures=7, **asked)
    assert of_annealing == question(k=5000, temperatures=7, **asked)
    assert of_annealing.stem.startswith("test-k5000-key0-ais7x16-")
    assert question(k=None, temperatures=None, **asked).stem.startswith("test-auto-key0-")


@pytest.mark.slow
def test_seeds_share_the_error_of_the_correction(evaluated):
    _, _, found, _ = evaluated
    better = found.recommended
    second = dataclasses.replace(
        found,
        recommended=dataclasses.replace(better, log_evidence=better.log_evidence + 0.5),
    )
    record = evaluation_record([found, second], "train")
    # Student's t of one degree of freedom; the standard error of two numbers 0.5 apart is 0.25.
    half = np.hypot(12.7062 * 0.25, 1.96 * better.stderr_shift)
    assert record["mean"] == pytest.approx(better.mean + 0.25)
    assert record["interval"][1] - record["mean"] == pytest.approx(half, rel=1e-4)
    large = dataclasses.replace(better, stderr_shift=100.0)
    wide = evaluation_record([dataclasses.replace(found, recommended=large)] * 2, "train")
    assert wide["interval"][1] - wide["mean"] == pytest.approx(196)


@pytest.mark.slow
def test_without_a_ladder_the_number_stays_importance_sampling_s(evaluated):
    _, _, found, _ = evaluated
    other = dataclasses.replace(found.recommended.ladder, method="annealing")
    for recommended in (None, tb.evidence.Estimate(**_plain(other))):
        alone = dataclasses.replace(found, recommended=recommended)
        record = evaluation_record([alone], "train")
        assert record["mean"] == found.mean
        assert record["direction"] == "lower (stochastic, consistent in k)"
        assert record["verdict"] == found.verdict
        assert "recommended" not in record["seeds"][0]


def _plain(estimate):
    return {of.name: getattr(estimate, of.name) for of in dataclasses.fields(tb.evidence.Estimate)}


@pytest.mark.slow
def test_of_one_datum_the_ladder_s_own_number_is_recorded(work, evaluated):
    record = runs.evaluate_run(work, split="train", limit=1).record
    said = record["seeds"][0]["recommended"]
    assert abs(record["mean"] - evaluated[3][0]) < LIMIT * said["stderr_mean_mc"]
    assert said["method"].startswith("the ladder")
    assert (said["n"], said["stderr_shift"], said["stderr_data"]) == (1, 0, None)
    assert record["interval"] == [None, None]
