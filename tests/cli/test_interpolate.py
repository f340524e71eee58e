"""Paths between rows through the command: tables, pictures, and refusals in a line."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import tightbound as tb
from tightbound import runs
from tightbound.cli import interpolate as command
from tightbound.report import paths
from tightbound.report.theme import LIGHT
from tightbound.tasks.interpolate import PATHS
from tightbound.tasks.predictive import K


@pytest.fixture
def fitted(tightbound, fitted_once, tmp_path):
    """A folder with a run named r, of digits and three latents."""
    shutil.copytree(fitted_once, tmp_path / "runs" / "r")


def test_the_command_knows_the_paths_there_are():
    assert command.PATHS == PATHS
    assert command.DRAWS == K


def test_paths_are_written(tightbound, fitted):
    ask = ("interpolate", "r", "--between", "3,17,5", "--steps", "4", "--k", "20", "--json")
    status, out, err = tightbound(*ask)
    assert status == 0, err
    record = json.loads(out)
    assert (record["paths"], record["steps"], record["k"]) == (2, 4, 20)
    with open("runs/r/paths.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["from"], row["to"], row["step"]) for row in rows[:5]] == [
        *(("3", "17", str(step)) for step in range(4)),
        ("17", "5", "0"),
    ]
    z = np.array([[float(row[f"z{j}"]) for j in (1, 2, 3)] for row in rows])
    np.testing.assert_allclose(z[1], (2 * z[0] + z[3]) / 3, rtol=1e-6)
    opened = runs.open_run(Path("runs/r"))
    x = np.array([[float(row[f"x{j}"]) for j in range(64)] for row in rows])
    np.testing.assert_allclose(tb.tasks.decode(opened.model, z).x, x, rtol=1e-4, atol=1e-6)
    status, out, err = tightbound(*ask, "--path", "spherical", "-o", "p.png")
    assert status == 0, err
    assert Path("p.png").stat().st_size > 10_000


def test_a_row_of_pictures_stands_above_its_densities():
    rng = np.random.default_rng(0)
    path = paths.Path("a", rng.random((2, 6)), rng.random((3, 6)), np.arange(3.0), (0.5, 2.5))
    figure = Figure()
    above, below = figure.subplots(2)
    paths._draw_pictures(above, LIGHT, path, (2, 3))
    paths._draw_densities(below, LIGHT, path)
    sheet = above.images[0].get_array()
    assert sheet.shape == (2, 15)
    np.testing.assert_array_equal(sheet[:, 12:], path.ends[1].reshape(2, 3))
    np.testing.assert_array_equal(below.lines[0].get_ydata(), path.log_prior)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ([], "expected --between with two rows or more"),
        (["--between", "3"], "expected --between with two rows or more"),
        (["--between", "3,x"], "--between"),
        (["--between", "3,3000"], "expected rows from 0 to 299, got 3000"),
        (["--between", "1,2", "--path", "sphercal"], "did you mean spherical"),
        (["--between", "1,2", "--out", "p.npy"], "suffix out of .png, .csv"),
    ],
)
def test_bad_input_ends_in_one_line_and_nothing_is_written(tightbound, fitted, ask, words):
    before = sorted(Path().rglob("*"))
    status, out, err = tightbound("interpolate", "r", *ask)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert sorted(Path().rglob("*")) == before
