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


def table(path, n, seed, *, hidden=0):
    """Two groups 8 apart, with their names; the first `hidden` names are left out."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    numbers = rng.normal(size=(n, 2)) + 8 * kind[:, None]
    words = ["" if row < hidden else ("high" if of else "low") for row, of in enumerate(kind)]
    lines = [f"{a:.4f},{b:.4f},{word}" for (a, b), word in zip(numbers, words, strict=True)]
    path.write_text("\n".join(["a,b,kind", *lines, ""]))
    return kind


@pytest.mark.slow
def test_new_rows_are_judged_by_the_labels_of_their_own_column(tightbound, tmp_path):
    table(tmp_path / "mine.csv", 300, 0)
    status, _, err = tightbound(
        "fit", "mine.csv", "--label", "kind", "--objective", "m2(alpha=1.0, labelled=20)",
        "--likelihood", "gaussian_column", "--latent", "1", "--hidden", "8", "--epochs", "40",
        "--evaluate-k", "0", "--name", "t",
    )  # fmt: skip
    assert status == 0, err
    kind = table(tmp_path / "new.csv", 50, 1, hidden=10)
    status, out, err = tightbound("classify", "t", "new.csv", "--k", "5", "--json", "--key", "1")
    assert status == 0, err
    with (tmp_path / "runs" / "t" / "labels.csv").open() as file:
        found = np.array([int(row["label"]) for row in csv.DictReader(file)])
    # Levels are numbered in the order of their words: "high" is 0.
    wrong = float(np.mean(found[10:] != 1 - kind[10:]))
    record = json.loads(out)
    assert record["accuracy"].startswith(f"error {wrong:.2%} [")
    assert "on 40 labels" in record["accuracy"]
    assert wrong < 0.1
    status, out, err = tightbound("classify", "t", "mine.csv", "--k", "5", "--json")
    assert status == 0, err
    record = json.loads(out)
    assert "accuracy" not in record
    assert "the fit has seen rows of this file" in record["notes"]
    (tmp_path / "other.csv").write_text("a,b\n0,0\n8,8\n")
    status, out, err = tightbound("classify", "t", "other.csv", "--k", "5", "--json")
    assert status == 0, err
    assert "accuracy" not in json.loads(out)


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
