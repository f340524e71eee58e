"""Codes and maps through the command: what is written, and what is refused in a line."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import tightbound as tb
from tightbound import runs


@pytest.fixture
def fitted(tightbound, fitted_once, tmp_path):
    """A folder with a run named r, of digits and three latents."""
    shutil.copytree(fitted_once, tmp_path / "runs" / "r")


def test_codes_are_written_in_each_format(tightbound, fitted):
    ask = ("embed", "r", "--limit", "12", "--k", "30", "--json")
    status, out, err = tightbound(*ask)
    assert status == 0, err
    record = json.loads(out)
    assert (record["n"], record["latent"], record["k"]) == (12, 3, 30)
    with open("runs/r/codes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["row", "label", "z1", "z2", "z3"]
    means = np.array([[float(row[f"z{j}"]) for j in (1, 2, 3)] for row in rows])
    digits = tb.data.load("digits")
    assert [row["label"] for row in rows] == [str(y) for y in digits.labels["test"][:12]]
    assert record["median_ess"] == pytest.approx(np.median([float(row["ess"]) for row in rows]))

    status, _, err = tightbound(*ask, "-o", "codes.npz", "--draws", "4")
    assert status == 0, err
    arrays = np.load("codes.npz")
    np.testing.assert_allclose(arrays["codes"], means, rtol=1e-5)
    assert arrays["draws"].shape == (4, 12, 3)
    assert set(arrays) >= {"row", "sd", "labels", "log_p", "ess", "khat"}

    # A named set that is the run's own is its test part.
    status, _, err = tightbound("embed", "r", "digits", *ask[2:], "-o", "codes.npy")
    assert status == 0, err
    np.testing.assert_allclose(np.load("codes.npy"), means, rtol=1e-5)
    # The numbers are those of Python's own call.
    opened = runs.open_run(Path("runs/r"))
    own = tb.tasks.embed(opened.model, opened.posterior, digits.test[:12], k=30)
    np.testing.assert_allclose(own.codes, means, rtol=1e-5, atol=1e-6)


def test_a_map_is_drawn(tightbound, fitted):
    ask = ("embed", "r", "--limit", "40", "--k", "20", "--map", "map.png")
    status, out, err = tightbound(*ask, "-o", "codes.csv")
    assert status == 0, err
    assert "map: map.png" in out
    assert imread("map.png").shape == (1040, 1280, 4)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (["none.csv"], "none.csv"),
        (["--k", "1"], "--k"),
        (["--map", "m.jpg"], "expected --map with a suffix out of .png, got .jpg"),
        (["--out", "m.parquet"], "suffix out of .csv, .npz, .npy"),
        (["--draws", "3"], "draws are kept in a file .npz"),
        (["--limt", "3"], "did you mean --limit"),
    ],
)
def test_bad_input_ends_in_one_line_and_nothing_is_written(tightbound, fitted, ask, words):
    before = sorted(Path().rglob("*"))
    status, out, err = tightbound("embed", "r", *ask)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert sorted(Path().rglob("*")) == before
