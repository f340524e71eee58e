"""Few labels from the command line: a fit of m2, and what `classify` writes."""

import csv
import json

import numpy as np
import pytest

from tightbound.core.errors import UsageError
from tightbound.data import load
from tightbound.recipes.labels import classes_of, with_few_labels

FIT = (
    "fit", "digits", "--objective", "m2(alpha=0.5, labelled=20)", "--latent", "2", "--hidden", "8",
    "--epochs", "3", "--evaluate-k", "5", "--name", "m",
)  # fmt: skip


@pytest.mark.slow
def test_labels_are_learned_from_few_and_written(tightbound, tmp_path):
    status, _, err = tightbound(*FIT, "--labels", "100")
    assert status == 0, err
    status, out, err = tightbound("classify", "m", "digits", "--k", "5", "--limit", "60", "--json")
    assert status == 0, err
    record = json.loads(out)
    assert (record["n"], record["classes"], record["k"], record["calibrated_on"]) == (60, 10, 5, 60)
    assert record["temperature"] != 1
    assert record["accuracy"].endswith(record["accuracy"].split("calibration error ")[1])
    with (tmp_path / "runs" / "m" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    p = np.array([[float(row[f"p_{y}"]) for y in range(10)] for row in rows])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-4)
    assert [int(row["label"]) for row in rows] == p.argmax(axis=1).tolist()
    status, out, _ = tightbound("classify", "m", "digits", "--k", "5", "--limit", "9", "--raw")
    assert status == 0
    assert "temperature: 1.0" in out
    status, _, err = tightbound("evaluate", "m", "--k", "20")
    assert status == 0, err


@pytest.mark.slow
def test_runs_without_labels_are_refused_in_a_line(tightbound):
    status, _, err = tightbound(
        "fit", "digits", "--objective", "elbo", "--latent", "2", "--hidden", "4", "--epochs", "1",
        "--evaluate-k", "0", "--name", "plain",
    )  # fmt: skip
    assert status == 0, err
    status, _, err = tightbound("classify", "plain", "digits")
    assert status == 2
    assert "a run without labels" in err
    status, _, err = tightbound("fit", "digits", "--objective", "elbo", "--labels", "100")
    assert status == 2
    assert "labels= is for the objective m2" in err


def test_as_many_of_each_class_are_kept():
    digits = load("digits")
    assert classes_of(digits) == 10
    few = with_few_labels(digits, 50, 3)
    kept = few.labels["train"]
    assert np.array_equal(np.bincount(kept[kept >= 0]), np.full(10, 5))
    rows = kept >= 0
    assert np.array_equal(kept[rows], np.asarray(digits.labels["train"])[rows])
    assert few.labels["test"] is digits.labels["test"]
    assert few.notes[-1].startswith("50 of ")
    assert not np.array_equal(kept, with_few_labels(digits, 50, 4).labels["train"])
    for count, words in ((55, "a multiple of the 10 classes"), (10_000, "class 0 has")):
        with pytest.raises(UsageError, match=words):
            with_few_labels(digits, count, 0)
