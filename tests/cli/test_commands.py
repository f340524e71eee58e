import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import tightbound as tb
from tightbound.cli.evaluate import DRAWS
from tightbound.core.digests.arrays import read_arrays
from tightbound.data import load_arrays
from tightbound.evidence.importance.evaluation import K
from tightbound.runs.folder import EVALUATION


@pytest.fixture
def fitted(fitted_once, tightbound, tmp_path):
    """A run of its own for a test, named r, under runs/ of the folder that commands run in."""
    shutil.copytree(fitted_once, tmp_path / "runs" / "r")
    return tmp_path / "runs" / "r"


@pytest.mark.parametrize("annealed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_evaluate_finds_a_run_by_path_or_name(annealed, tightbound, fitted):
    flags = ("--k", "40", "--split", "validation", "--bounds-at", "7,3")
    flags += ("--temperatures", "2", "--chains", "2") if annealed else ()
    status, out, _ = tightbound("evaluate", "r", *flags, "--json")
    assert status == 0
    line = json.loads(out)
    assert ("annealed importance sampling is" in line["reason"]) == annealed
    # The run's own, and this one; no batches that are not needed any more.
    paths = [path for path in (fitted / "evaluations").iterdir() if "validation" in path.name]
    assert len(list((fitted / "evaluations").iterdir())) == 2
    assert paths[0].name.startswith("validation-k40-key0-" + "ais2x2-" * annealed)
    record = read_arrays(paths[0], EVALUATION)[1]
    assert list(record["seeds"][0]["bound_by_k"]) == ["1", "3", "5", "7", "40"]
    assert tightbound("evaluate", "r", "--k", "6", "--bounds-at", "7")[2].count("got 7") == 1
    arrays = load_arrays(paths[0])
    if annealed:
        by_chains = arrays["annealed_log_evidence"]
        assert by_chains.shape == (1, 200)
        assert line["annealed_mean"] == pytest.approx(by_chains.mean(), abs=1e-4)
    else:
        assert line["annealed_mean"] is None
    assert (line["split"], line["k"], line["n"], line["seeds"]) == ("validation", 40, 200, 1)
    spread = arrays["log_evidence"].std(ddof=1)
    assert line["stderr"] == pytest.approx(spread / 200**0.5, rel=1e-3)
    before = paths[0].stat().st_mtime_ns
    assert json.loads(tightbound("evaluate", "r", *flags, "--json")[1]) == line
    assert "has the answer already; --overwrite" in tightbound("evaluate", "r", *flags)[1]
    assert paths[0].stat().st_mtime_ns == before
    assert "already" not in tightbound("evaluate", "r", *flags, "--overwrite")[1]
    assert paths[0].stat().st_mtime_ns > before
    assert tightbound("evaluate", "r", "--split", "nope")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "soon"], "expected --budget as a whole number of evaluations"),
        (["--budget", "0"], "expected --budget >= 1"),
        (["--budget", "1180591620717411303424"], "expected --budget <= 2147483647"),
        (["--budget", "0 s"], "got '0 s'"),
        (["--budget", "30 s", "--k", "5"], "--budget is for the ladder, which --k and"),
        (["--budget", "30", "--temperatures", "5"], "--budget is for the ladder"),
        (["--bounds-at", "5001"], "expected --bounds-at up to --k 5000, got 5001"),
        (["--bounds-at", "7", "--k", "6"], "expected --bounds-at up to --k 6, got 7"),
    ],
)
def test_evaluations_that_make_no_sense_are_refused_before(tightbound, fitted, arguments, message):
    before = sorted(fitted.rglob("*"))
    status, out, err = tightbound("evaluate", "r", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert sorted(fitted.rglob("*")) == before


def test_draws_without_k_are_those_of_the_library():
    assert DRAWS == K


def test_reports_by_path_or_name(tightbound, fitted):
    for run in (fitted, "runs/r", "r"):
        status, out, _ = tightbound("report", run)
        assert status == 0
        assert "report.html" in out
    status, _, err = tightbound("report", "rr")
    assert (status, err.count("\n")) == (2, 1)
    assert "got 'rr'; did you mean r?" in err
    status, _, err = tightbound("report", fitted / "run.json")
    assert status == 2
    assert "got the file" in err


def read(path):
    if path.suffix == ".csv":
        return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32)
    if path.suffix == ".parquet":
        columns = pq.read_table(path).to_pydict().values()
        return np.array(list(columns), np.float32).T
    loaded = np.load(path, allow_pickle=False)
    return loaded["rows"] if path.suffix == ".npz" else loaded


def test_samples_are_the_same_in_every_format_and_in_chunks(tightbound, fitted, monkeypatch):
    monkeypatch.setattr("tightbound.cli.sample.CHUNK", 3)
    status, out, _ = tightbound("sample", "r", "--n", "7", "--json")
    assert status == 0
    assert json.loads(out) == {"file": "runs/r/samples.npy", "n": 7}
    drawn = read(fitted / "samples.npy")
    assert (drawn.shape, drawn.dtype) == ((7, 64), np.float32)
    assert np.all((drawn > 0) & (drawn < 1))
    for suffix in (".npy", ".npz", ".csv", ".parquet"):
        assert tightbound("sample", "r", "--n", "7", "--out", f"s{suffix}")[0] == 0
        np.testing.assert_array_equal(read(Path(f"s{suffix}")), drawn)
    monkeypatch.setattr("tightbound.cli.sample.CHUNK", 1000)
    assert tightbound("sample", "r", "--n", "7", "--out", "whole.npy")[0] == 0
    np.testing.assert_allclose(read(Path("whole.npy")), drawn, rtol=1e-5)
    assert Path("s.csv").read_text().startswith("x0,x1,")
    assert tightbound("sample", "r", "--n", "7", "--out", "s.PNG")[0] == 0
    sheet = np.asarray(Image.open("s.PNG"))
    assert sheet.shape == (1 + 3 * 9, 1 + 3 * 9)
    np.testing.assert_array_equal(sheet[10:18, 10:18], np.rint(drawn[4].reshape(8, 8) * 255))
    assert sorted(path.name for path in Path().iterdir() if ".part" in path.name) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.xls"], ".npy, .npz, .csv, .parquet, .png, got .xls"),
        (["--out", "x"], "got none"),
        (["--out", ""], "got none"),
        (["--out", "none/x.csv"], "no folder 'none'"),
        (["--out", "runs/r.csv"], "got the folder"),
        (["--out", "x" * 300 + ".csv"], "at most 200 bytes"),
        (["--out", "runs/r/run.json/x.csv"], "no folder"),
        (["--n", "0"], "expected --n >= 1"),
        (["--key", "-1"], "expected --key >= 0"),
        (["--n", "2000000000"], "GB are free there"),
    ],
)
def test_what_cannot_be_written_is_refused_before(tightbound, fitted, tmp_path, arguments, message):
    (fitted.parent / "r.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    status, out, err = tightbound("sample", "r", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_nothing_behind(tightbound, fitted, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device", "s.csv")

    monkeypatch.setattr("os.fsync", full)
    before = sorted(tmp_path.rglob("*"))
    status, out, err = tightbound("sample", "r", "--out", "s.csv")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "free some space" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_reconstructions(tightbound, fitted):
    status, out, _ = tightbound("reconstruct", "r", "digits", "--out", "x.csv", "--json")
    assert status == 0
    line = json.loads(out)
    assert read(Path(line["file"])).shape == (300, 64)
    assert 0 < line["mean_squared_error"] < 0.25
    all_of_them = read(Path("x.csv"))
    np.save("one.npy", tb.data.load("digits").test[4:5])
    assert tightbound("reconstruct", "r", "one.npy", "--out", "one.csv")[0] == 0
    assert read(Path("one.csv")).shape == (64,)
    assert tightbound("reconstruct", "r", "digits", "--limit", "5", "--out", "five.npy")[0] == 0
    np.testing.assert_allclose(read(Path("five.npy")), all_of_them[:5], rtol=1e-5)
    status, out, _ = tightbound("evaluate", "r", "--k", "5", "--data", "one.npy", "--json")
    line = json.loads(out)
    assert (status, line["n"], line["split"], line["data"]) == (0, 1, "file", "one.npy")
    status, _, err = tightbound("evaluate", "r", "--data", "one.npy", "--split", "test")
    assert (status, err.count("\n")) == (2, 1)
    assert "leave it out with --data" in err
    np.save(fitted / "other.npy", np.zeros((20, 5), np.float32))
    status, _, err = tightbound("reconstruct", fitted, fitted / "other.npy")
    assert status == 2
    assert "like the run's" in err
    status, _, err = tightbound("reconstruct", fitted, "digitz")
    assert status == 2
    assert "did you mean digits" in err


def test_lists(tightbound):
    status, out, _ = tightbound("datasets", "--json")
    assert status == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert {"digits", "mnist", "fashion_mnist", "omniglot", "frey_faces"} <= set(rows)
    assert "iwae" in rows["mnist"]["splits"]
    status, out, _ = tightbound("objectives", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert set(rows) >= {"elbo", "iwae"}
    assert all(row["bias"] and row["reference"] and row["quantity"] for row in rows.values())
    assert "1509.00519" in rows["iwae"]["reference"]
    assert tightbound("objectives")[0] == tightbound("datasets")[0] == 0
