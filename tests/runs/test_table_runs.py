"""Runs of a table whose model was chosen, and needs no posterior."""

import contextlib
import csv
import io
import json
import os
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.runs.tables import CONFIG, NAMES, chosen_by_em, fit_table_run, rows, write_table
from tightbound import runs
from tightbound.cli import run as command
from tightbound.core.digests.arrays import read_arrays
from tightbound.core.errors import Interrupted, UsageError
from tightbound.recipes.settings import Config, read_settings
from tightbound.report import json_records, summary_lines
from tightbound.runs.baselines import gaussian_baselines
from tightbound.runs.tabulated import ROUNDS, _rounds

pytestmark = pytest.mark.slow

RUN = Path("runs") / "t"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with the table and its run, evaluated and reported by the command; what it said."""
    root = tmp_path_factory.mktemp("fitted")
    before, said = Path.cwd(), io.StringIO()
    os.chdir(root)
    try:
        write_table(Path("table.csv"), rows())
        write_table(Path("holes.csv"), rows(20, holes=0.1))
        with (
            chosen_by_em(),
            mock.patch.dict(os.environ, TIGHTBOUND_COMPILATION_CACHE="off"),
            contextlib.redirect_stdout(said),
        ):
            assert command(["fit", "table.csv", "--name", "t"]) == 0
    finally:
        os.chdir(before)
    return root, said.getvalue()


@pytest.fixture
def run(fitted, tmp_path, monkeypatch):
    shutil.copytree(fitted[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return RUN


def test_fit_says_what_it_tries_and_prints_the_choice(fitted, run, capsys):
    first, *table = fitted[1].splitlines()
    assert first.startswith("no setting asks for one model")
    assert "fitted to: gaussian, mixture, ppca, deep; --objective" in first
    assert any(line.startswith("| candidate 2 parts (chosen) | -8.20 ± 0.30") for line in table)
    assert command(["report", "t", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["chosen"], line["direction"], line["k"]) == ("2 parts", "exact", None)
    assert line["stderr_draws"] == 0


def test_settings_of_a_chosen_model_give_the_run_again(run):
    assert Config(**read_settings(run)) == CONFIG
    assert "objective" not in (run / "config.toml").read_text()
    again = fit_table_run(Path("runs/again"), Config(**read_settings(run)))
    assert runs.open_run(run).posterior is None
    assert runs.open_run("runs/again").weights == runs.open_run(run).weights
    assert again.epochs_run == 20


def test_its_evidence_is_exact_and_the_record_leads(run):
    record = json_records(run)["evaluation"]
    ds = tb.data.load("table.csv")
    right = tb.evaluate(runs.open_run(run).model, None, ds.test)
    assert record["mean"] == right.mean
    assert (record["direction"], "k" in record) == ("exact", False)
    assert record["seeds"][0]["stderr_mean_mc"] == 0
    (path,) = (run / "evaluations").glob("*.safetensors")
    arrays = tb.data.load_arrays(path)
    np.testing.assert_array_equal(arrays["log_evidence"][0], right.log_evidence)
    assert set(arrays) == {"log_evidence", "error", "rows"}
    assert "| estimator | the sum over 2 latent values |" in summary_lines(run)


@pytest.mark.parametrize(
    ("of", "settings", "flag"),
    [
        (runs.evaluate_run, {"k": 5}, "--k"),
        (runs.evaluate_run, {"temperatures": 3}, "--temperatures"),
        (runs.evaluate_run, {"bounds_at": (4,)}, "--bounds-at"),
        (runs.evaluate_run, {"budget": 1000}, "--budget"),
        (lambda run, **of: runs.impute_data(run, "table.csv", **of), {"k": 5}, "--k"),
        (lambda run, **of: runs.score_data(run, "table.csv", **of), {"k": 5}, "--k"),
    ],
)
def test_settings_of_draws_are_refused_in_words(run, of, settings, flag):
    with pytest.raises(UsageError, match=rf"has no posterior .* leave out {flag}"):
        of(run, **settings)


def test_tasks_need_no_posterior(run, capsys, monkeypatch):
    monkeypatch.setenv("TIGHTBOUND_COMPILATION_CACHE", "off")
    opened = runs.open_run(run)
    ds = tb.data.load_items("holes.csv")
    for arguments in (
        ["impute", "t", "holes.csv"],
        ["score", "t", "table.csv", "--blame", "0"],
        ["sample", "t", "--n", "400", "--out", "drawn.csv"],
        ["reconstruct", "t", "table.csv", "--out", "back.csv"],
    ):
        assert command([*arguments, "--json"]) == 0
        assert "k" not in json.loads(capsys.readouterr().out)
    with open("holes-filled.csv", newline="") as file:
        head, *cells = csv.reader(file)
    assert head == list(NAMES)
    filled = np.array(cells, float)
    hidden = np.isnan(ds.x)
    expected = tb.impute(opened.model, None, ds.x).x
    np.testing.assert_allclose(filled[~hidden], ds.x[~hidden], rtol=1e-6)
    # The file has the places of its column's other cells.
    np.testing.assert_allclose(filled[hidden], expected[hidden], rtol=0.02, atol=0.02)
    drawn = np.loadtxt("drawn.csv", delimiter=",", skiprows=1)
    means, weights = opened.model.likelihood.means, opened.model.prior.mean()
    spread = np.sqrt(np.diagonal(opened.model.likelihood.covariances(), axis1=1, axis2=2).max(0))
    wide = np.sqrt(spread**2 + np.var(np.asarray(means), axis=0))
    # 4.5 standard errors of a mean of 400: false alarms below 1e-4 for three columns.
    assert (np.abs(drawn.mean(0) - weights @ means) < 4.5 * wide / 20).all()
    assert len(np.unique(drawn[:, 0])) == 400, "draws, and not the means of two components"
    back = np.loadtxt("back.csv", delimiter=",", skiprows=1)
    low, high = np.asarray(means).min(0), np.asarray(means).max(0)
    assert ((back >= low - 1e-3 * abs(low)) & (back <= high + 1e-3 * abs(high))).all()


def test_every_known_cell_is_hidden_once(run):
    arrays, metadata = read_arrays(run / "table.safetensors", "table")
    ds = tb.data.load("table.csv")
    np.testing.assert_array_equal(arrays["real"], ds.test)
    assert arrays["sampled"].shape == (1000, 3)
    found = metadata["imputation"]["columns"]
    known = ~np.isnan(ds.test)
    assert [column["cells"] for column in found] == known.sum(0).tolist()
    for place, column in enumerate(found):
        away = ds.test[:, place] - np.nanmean(ds.train[:, place].astype(float))
        assert column["rmse_of_mean"] == pytest.approx(np.sqrt(np.nanmean(away**2)))
        assert column["rmse"] < column["rmse_of_mean"], "the clusters tell"
    each = _rounds(50, 7, 0)
    assert all(len(set(row)) == ROUNDS and np.bincount(row).max() == 2 for row in each)


def test_baselines_are_compared_row_by_row(run):
    record = json_records(run)["evaluation"]
    (path,) = (run / "evaluations").glob("*.safetensors")
    of_rows = tb.data.load_arrays(path)["log_evidence"][0]
    ds = tb.data.load("table.csv")
    found = gaussian_baselines(ds.train, ds.test, ds.validation)
    assert set(record["baselines"]) == set(found) == set(record["against_baselines"])
    assert len(found) == 3
    for name, other in found.items():
        low, high = stats.ttest_1samp(of_rows - other, 0).confidence_interval()
        said = record["against_baselines"][name]
        assert [said["low"], said["high"]] == pytest.approx([low, high], rel=1e-4)


def test_the_report_says_what_was_chosen_and_what_is_left_out(run):
    page = (run / "report.html").read_text()
    assert "<h2>Candidates</h2>" in page
    assert "The deep models lose: the best of them, 2 latents, is 1.30 ± 0.20 nats" in page
    assert "There is no figure of: bound against k, active units" in page
    assert "Not in this report" not in page, "nothing waits for another command"
    assert "b &lt;&amp;&quot;$x$" in page
    assert NAMES[1] not in page
    figures = {path.name for path in (run / "figures").iterdir()}
    assert {"marginals.png", "pairs.png", "learning_curve.png"} <= figures
    assert not figures & {"khat.png", "active_units.png", "bound_against_k.png"}
    assert "| about the candidates | one note |" in summary_lines(run)
    assert any("deep models | The deep models lose" in line for line in summary_lines(run))


def test_a_finished_run_is_resumed_as_it_is(run, monkeypatch):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr("tightbound.runs.choosing.fit_table", None)
    assert runs.fit_run(CONFIG, run, resume=True).posterior is None
    other = Config(data="table.csv", candidates="mixture")
    with pytest.raises(UsageError, match="was fitted with candidates = 'all', got 'mixture'"):
        runs.fit_run(other, run, resume=True)
    with pytest.raises(UsageError, match="already exists"):
        runs.fit_run(CONFIG, run, resume=False)
    Path("table.csv").write_text(Path("table.csv").read_text().replace("1", "2"))
    with pytest.raises(UsageError, match="holds other data"):
        runs.fit_run(CONFIG, run, resume=True)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_an_ended_fit_leaves_nothing_and_an_ended_writing_what_resume_begins_anew(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    new = Path("runs/new")
    with monkeypatch.context() as patch:
        patch.setattr("tightbound.runs.choosing.fit_table", interrupted)
        with pytest.raises(Interrupted, match="nothing was written"):
            runs.fit_run(CONFIG, new, resume=False)
    assert not new.exists()
    with monkeypatch.context() as patch:
        patch.setattr("tightbound.runs.writing.save", interrupted)
        with pytest.raises(Interrupted, match="--resume --name new"):
            fit_table_run(new)
    assert not (new / "run.json").exists()
    fit_table_run(new, resume=True)
    assert runs.open_run(new).weights == runs.open_run(run).weights
