"""Tables scored through the command: one line a row, p-values, and the cells to blame."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors

import tightbound as tb
from tightbound import runs
from tightbound.cli import run as command
from tightbound.cli.compilation import SWITCH

pytestmark = pytest.mark.slow

FLAGS = (
    "--likelihood columns --latent 1 --hidden 2 --k 1 --epochs 2 --evaluate-k 0 --real age".split()
)
HEAD = ["name", "species", "age", "size"]


def write_tables():
    """A table of words and numbers, and five rows of the like with something wrong in two."""
    rng = np.random.default_rng(0)

    def row(i):
        return [
            f"no. {i}",
            ["fir", "oak"][i % 2],
            f"{rng.normal(40, 9):.0f}",
            f"{rng.normal():.3f}",
        ]

    lines = [",".join(row) for row in [HEAD, *(row(i) for i in range(300))]]
    Path("people.csv").write_text("\n".join(lines))
    new = [row(i) for i in range(5)]
    new[1][2], new[3][3], new[4][2] = "930", "25", "?"
    turned = [HEAD[::-1], *(one[::-1] for one in new)]
    Path("new.csv").write_text("\n".join(map(",".join, turned)))
    new[2][1] = "elm"
    Path("strange.csv").write_text("\n".join(map(",".join, [HEAD, *new])))


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A folder with a run of the table, to be copied."""
    folder = tmp_path_factory.mktemp("scored")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(SWITCH, "off")
        write_tables()
        assert command(["fit", "people.csv", *FLAGS, "--name", "p"]) == 0
    return folder


@pytest.fixture
def fitted(tightbound, once, tmp_path):
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)


def test_rows_are_scored_and_cells_blamed(tightbound, fitted):
    before = sorted(Path("runs/p").rglob("*"))
    ask = ("score", "p", "new.csv", "--out", "s.csv", "--k", "50")
    status, out, err = tightbound(*ask, "--json")
    assert status == 0, err
    record = json.loads(out)
    assert (record["n"], record["calibration"], record["k"], record["notes"]) == (5, 30, 50, "")
    with open("s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert record["mean"] == pytest.approx(np.mean([float(row["log_p"]) for row in rows]))
    assert rows[0]["verdict"] in ("trust", "more draws", "do not trust")
    p = [float(row["p_value"]) for row in rows]
    assert p[1] == p[3] == record["smallest_p"] == pytest.approx(1 / 31)
    assert record["share_blamed"] == np.mean(np.array(p) <= 0.05)
    assert (rows[1]["blamed_1"], rows[1]["value_1"]) == ("age", "930")
    assert (rows[3]["blamed_1"], rows[3]["value_1"]) == ("size", "25")
    assert float(rows[1]["below_usual_1"]) > 3
    assert {rows[1][f"blamed_{i}"] for i in (1, 2, 3)} == {"species", "age", "size"}
    assert rows[1]["value_2"] in ("fir", "oak") or rows[1]["value_3"] in ("fir", "oak")
    usual = p.index(max(p))
    assert rows[usual]["blamed_1"] == rows[usual]["log_p_1"] == ""
    # The numbers are those of Python's own call.
    opened = runs.open_run(Path("runs/p"))
    schema = runs.source.coded_by(Path("runs/p"), opened)
    x = tb.data.load_items("new.csv", schema=schema).x
    calibration = runs.source.load_part(Path("runs/p"), opened, "validation").x
    own = tb.score(opened.model, opened.posterior, x, calibration=calibration, k=50)
    np.testing.assert_allclose(own.log_p, [float(row["log_p"]) for row in rows], rtol=1e-6)
    np.testing.assert_array_equal(own.p_value, p)
    # In words, and the same again.
    first = Path("s.csv").read_bytes()
    status, out, _ = tightbound(*ask)
    assert (status, Path("s.csv").read_bytes()) == (0, first)
    assert "age = 930: " in out
    assert "than the median of 30 calibration rows" in out
    assert sorted(Path("runs/p").rglob("*")) == before, "the run is as it was"
    # Of 30 rows none can tell one in a hundred.
    status, out, _ = tightbound(*ask, "--blame", "0.01", "--json")
    assert json.loads(out)["notes"].startswith(
        "with 30 calibration rows no p-value is below 0.0323"
    )


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (["strange.csv"], "row 2 (line 4), column 'species': expected a level"),
        (["none.csv"], "none.csv"),
        (["new.csv", "--blame", "1.5"], "expected --blame from 0 to 1"),
        (["new.csv", "--k", "0"], "--k"),
        (["new.csv", "--out", "s.npy"], "suffix out of .csv"),
        (["new.csv", "--limt", "3"], "did you mean --limit"),
    ],
)
def test_bad_input_ends_in_one_line_and_nothing_is_written(tightbound, fitted, ask, words):
    before = sorted(Path().rglob("*"))
    status, out, err = tightbound("score", "p", *ask)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert sorted(Path().rglob("*")) == before


def test_early_stopping_is_said_and_lost_data_are_refused(tightbound):
    write_tables()
    flags = [*FLAGS, "--early-stopping", "2", "--seeds", "2"]
    assert tightbound("fit", "people.csv", *flags, "--name", "e")[0] == 0
    ask = ("score", "e", "new.csv", "--k", "5", "--limit", "2", "--blame", "0", "--json")
    status, out, err = tightbound(*ask)
    assert status == 0, err
    record = json.loads(out)
    assert "early stopping" in record["notes"]
    assert "the first of 2 seeds" in record["notes"]
    assert (record["n"], record["share_blamed"]) == (2, 0)
    Path("runs/e/scores.csv").unlink()
    Path("people.csv").unlink()
    status, _, err = tightbound(*ask)
    assert (status, err.count("\n")) == (2, 1)
    assert "people.csv" in err
    assert not Path("runs/e/scores.csv").exists()


def test_a_run_with_a_model_of_the_mask_goes_through_all_commands(tightbound, tmp_path):
    x = np.random.default_rng(0).normal(5, 1, size=(200, 3))
    cells = np.where((x < 4) & (np.arange(3) == 0), "", np.round(x, 3).astype(str))
    Path("lab.csv").write_text("\n".join(map(",".join, [["a", "b", "c"], *cells.tolist()])))
    mask = "self_masking(sign='low_missing', censored=True)"
    flags = "--likelihood gaussian --latent 1 --hidden 2 --k 2 --epochs 2 --evaluate-k 20".split()
    status, out, err = tightbound("fit", "lab.csv", *flags, "--missingness", mask, "--name", "m")
    assert status == 0, err
    assert "the mask is data too" in out
    assert "log p(x_observed, mask) is of the mask too" in out
    with safetensors.safe_open("runs/m/table.safetensors", "numpy") as file:
        assert file.get_tensor("sampled").shape == (1000, 3)
        assert "no_imputation" in json.dumps(file.metadata())
    status, out, err = tightbound("score", "m", "lab.csv", "--out", "s.csv", "--k", "20", "--json")
    assert status == 0, err
    assert "cells are not looked at" in json.loads(out)["notes"]
    status, _, err = tightbound("impute", "m", "lab.csv", "-o", "f.csv", "--k", "50")
    assert status == 0, err
    filled = np.genfromtxt("f.csv", delimiter=",", skip_header=1)
    assert not np.isnan(filled).any()
    status, _, err = tightbound("fit", "lab.csv", "--missingness", mask, "--bayesian", "1")
    assert status == 2
    assert "missingness and bayesian do not go together" in err
