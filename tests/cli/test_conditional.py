"""Draws given some cells through the command: words of levels, labels, and refusals in a line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.test_score import FLAGS, write_tables

pytestmark = pytest.mark.slow


def test_rows_are_drawn_given_cells(tightbound):
    write_tables()
    assert tightbound("fit", "people.csv", *FLAGS, "--name", "p")[0] == 0
    ask = ("sample", "p", "--given", "species=oak", "--given", "age=30.5", "-o", "s.csv")
    status, out, err = tightbound(*ask, "--n", "40", "--json")
    assert status == 0, err
    record = json.loads(out)
    assert (record["n"], record["k"]) == (40, 1000)
    assert record["ess"] > 40
    with open("s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert {(row["species"], row["age"]) for row in rows} == {("oak", "30.5")}
    assert len({row["size"] for row in rows}) == 40
    assert tightbound("sample", "p", "--given", "age=30", "--n", "9", "-o", "t.csv")[0] == 0
    with open("t.csv", newline="") as file:
        assert {row["species"] for row in csv.DictReader(file)} <= {"fir", "oak"}
    refused = [
        (["--given", "species"], "expected --given as COLUMN=VALUE, got 'species'"),
        (["--given", "species=elm"], "expected level of 'species' to be one of fir, oak"),
        (["--given", "specis=oak"], "did you mean species"),
        (["--given", "age=1", "--given", "age=2"], "'age' twice"),
        (["--given", "age=old"], "expected a number for 'age'"),
        (["--given", "--"], "--given"),
        (["--given", "age=30", "--k", "0"], "--k"),
        (["--k", "10"], "--k is for draws given values"),
    ]
    before = sorted(Path().rglob("*"))
    for more, words in refused:
        status, out, err = tightbound("sample", "p", *more)
        assert (status, out, err.count("\n")) == (2, "", 1), more
        assert words in err
    assert sorted(Path().rglob("*")) == before


def test_a_run_without_a_posterior_draws_exactly(tightbound):
    write_tables()
    flags = ("--candidates", "gaussian", "--real", "age", "--name", "g")
    assert tightbound("fit", "people.csv", *flags)[0] == 0
    ask = ("sample", "g", "--given", "age=30", "-o", "s.csv", "--json")
    status, out, err = tightbound(*ask)
    assert status == 0, err
    assert set(json.loads(out)) == {"file", "n", "log_p_given"}
    status, _, err = tightbound(*ask, "--k", "10")
    assert status == 2
    assert "leave out --k" in err


def test_images_are_drawn_given_a_label(tightbound):
    fit = ("--objective", "m2(alpha=0.5, labelled=20)", "--latent", "2", "--hidden", "4")
    status, _, err = tightbound(
        "fit", "digits", *fit, "--epochs", "1", "--evaluate-k", "0", "--name", "m"
    )
    assert status == 0, err
    status, _, err = tightbound("sample", "m", "--given", "label=3", "-o", "s.npy")
    assert status == 0, err
    assert set(np.unique(np.load("s.npy"))) == {0, 1}
    status, _, err = tightbound("sample", "m", "--given", "label=10")
    assert status == 2
    assert "expected a label from 0 to 9, got 10" in err
