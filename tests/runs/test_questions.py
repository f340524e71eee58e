"""One record a question, about one model and one set of data, that says so."""

import dataclasses

import numpy as np
import pytest

from tests.runs.conftest import K
from tightbound import runs
from tightbound.core.errors import UsageError
from tightbound.data import load_arrays
from tightbound.report import json_records, summary_lines, write_report
from tightbound.runs.question import question

pytestmark = pytest.mark.usefixtures("blank_charts")
QUESTION = {
    "split": "test",
    "k": 5000,
    "key": 0,
    "temperatures": None,
    "chains": 16,
    "binarize": "auto",
    "weights": "a",
    "data": "b",
}


def test_the_name_of_a_record_says_what_was_asked_and_tells_all_else_apart():
    assert question(**QUESTION).stem.startswith("test-k5000-key0-")
    annealed = question(**QUESTION | {"temperatures": 7}).stem
    assert annealed.startswith("test-k5000-key0-ais7x16-")
    assert question(**QUESTION | {"chains": 3}) == question(**QUESTION), "chains of no annealing"
    others = [{"k": 1}, {"weights": "c"}, {"data": "c"}, {"binarize": "none"}, {"split": "train"}]
    names = {question(**QUESTION | change).stem for change in [{}, *others, {"temperatures": 7}]}
    assert len(names) == len(others) + 2


def test_bounds_that_are_asked_for_are_a_question_of_their_own(run):
    answer = runs.evaluate_run(run, k=K, bounds_at=(3, 2, 3))
    assert not answer.known
    assert answer.record["question"]["bounds_at"] == [2, 3]
    without = runs.evaluate_run(run, k=K)
    assert without.known
    assert "bounds_at" not in without.record["question"]
    (bounds,), (fewer,) = (
        [seed["bound_by_k"] for seed in of.record["seeds"]] for of in (answer, without)
    )
    assert {"2", "3"} == bounds.keys() - fewer.keys()
    assert fewer == {j: bounds[j] for j in fewer}
    assert runs.evaluate_run(run, k=K, bounds_at=(2, 3)).path == answer.path
    assert runs.evaluate_run(run, k=K, bounds_at=(2, 3)).known


def test_an_equal_question_is_answered_from_its_record(run, folder_bytes, monkeypatch):
    before = folder_bytes(run)
    with monkeypatch.context() as patch:
        patch.setattr("tightbound.runs.evaluation.evaluate", None)
        answer = runs.evaluate_run(run, k=K)
    assert answer.known
    assert folder_bytes(run) == before
    again = runs.evaluate_run(run, k=K, overwrite=True)
    assert not again.known
    assert again.path == answer.path
    assert {**again.record, "seconds": 0} == {**answer.record, "seconds": 0} | {
        "seeds": again.record["seeds"]
    }
    assert again.record["mean"] == answer.record["mean"]


def test_another_part_or_key_or_a_smaller_k_adds_a_record_and_leaves_the_headline(run):
    first = json_records(run)["evaluation"]
    assert (first["question"]["split"], first["k"], first["epoch"]) == ("test", K, 2)
    train = runs.evaluate_run(run, k=K, split="train")
    runs.evaluate_run(run, k=K, key=1)
    runs.evaluate_run(run, k=2)
    assert train.record["n"] == len(load_arrays(train.path)["rows"]) == 24
    found = json_records(run)
    assert found["evaluation"] == first
    assert len(found["evaluations"]) == 4
    assert not any(record["stale"] for record in found["evaluations"])
    page = write_report(run).read_text(encoding="utf-8")
    assert "<h2>Evaluations</h2>" in page
    assert page.count("the run as it stands") == 3
    rows = [line for line in summary_lines(run) if "log-likelihood" in line]
    assert len(rows) == 4
    assert rows[0].startswith("| test log-likelihood |")
    assert any(row.startswith(f"| train log-likelihood, k = {K}, key 0 |") for row in rows)


def test_an_evaluation_of_an_earlier_epoch_is_shown_as_such(run, config, one_loop):
    old = json_records(run)["evaluation"]
    now = json_records(run)["run"]["weights"]
    of_now, of_none = (run / "evaluations" / f".{start[:8]}.a.npz" for start in (now, "0" * 8))
    for part in (of_now, of_none):
        part.write_bytes(b"batches")
    runs.fit_run(config, run, resume=True)
    assert (of_now.exists(), of_none.exists()) == (True, False)
    runs.fit_run(dataclasses.replace(config, epochs=3), run, resume=True)
    assert not of_now.exists()
    found = json_records(run)
    assert "evaluation" not in found
    (stale,) = found["evaluations"]
    assert stale["stale"] == "is about another model than the one that is there now"
    (line,) = [line for line in summary_lines(run) if "log-likelihood" in line]
    assert line.startswith(f"| earlier test log-likelihood, k = {K}, key 0 |")
    assert "epoch 2, is about another model" in line
    page = write_report(run).read_text(encoding="utf-8")
    assert "not evaluated" in page
    assert "holds none of the test part by the model that is there now" in page
    answer = runs.evaluate_run(run, k=K)
    assert not answer.known
    assert answer.record["epoch"] == 3
    found = json_records(run)
    assert found["evaluation"]["mean"] == answer.record["mean"] != old["mean"]
    assert len(found["evaluations"]) == 2


def test_a_model_behind_the_metrics_is_said_to_be(run, config, one_loop, monkeypatch):
    """As a kill between the last epoch and the saved model leaves it."""

    def killed(*_):
        raise UsageError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("tightbound.runs.writing.save", killed)
        with pytest.raises(UsageError, match="killed"):
            runs.fit_run(dataclasses.replace(config, epochs=3), run, resume=True)
    (stale,) = json_records(run)["evaluations"]
    assert stale["stale"] == (
        "is out of date: the model is of epoch 2, training has gone on to epoch 3"
    )
    assert any("units.json | is out of date: the model is of" in row for row in summary_lines(run))


@pytest.mark.parametrize("row", [0, 29])
def test_data_that_have_changed_are_refused(row, run, table, folder_bytes):
    before = folder_bytes(run)
    changed = table.copy()
    changed[row, 0] += 1
    np.save("table.npy", changed)
    for ask in (
        lambda: runs.evaluate_run(run, k=K),
        lambda: runs.evaluate_run(run, k=2, split="train"),
        lambda: runs.reconstruct_data(run, "table.npy"),
    ):
        with pytest.raises(UsageError, match="table.npy holds other data than runs/r was fitted"):
            ask()
    assert folder_bytes(run) == before
    np.save("table.npy", table)
    assert runs.evaluate_run(run, k=K).known


def test_a_record_under_the_name_of_another_is_refused(run):
    answer = runs.evaluate_run(run, k=K, key=1)
    first = runs.evaluate_run(run, k=K)
    first.path.write_bytes(answer.path.read_bytes())
    with pytest.raises(UsageError, match="answers another question than its name says"):
        runs.evaluate_run(run, k=K)
