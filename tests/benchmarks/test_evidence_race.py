"""The benchmark of evidence: what is counted, who is stopped, and what the tables say."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

if importlib.util.find_spec("benchmarks") is None:
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)

from benchmarks.evidence.__main__ import main
from benchmarks.evidence.contestants import CONTESTANTS, Answer, Counted, over_data
from benchmarks.evidence.counting import Counter
from benchmarks.evidence.picture import picture
from benchmarks.evidence.problems import HELD, PROBLEMS, TUNED
from benchmarks.evidence.table import cost, markdown

ROOT = Path(__file__).resolve().parents[2]


def run(folder, *arguments, pythonpath=()):
    report = folder / "report.json"
    path = os.pathsep.join([*map(str, pythonpath), str(ROOT / "src")])
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.evidence", "--json", str(report), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return process, json.loads(report.read_text())["rows"] if report.exists() else []


def sum_of_powers(z):
    return -0.25 * jnp.sum(z**4)


@pytest.mark.parametrize(
    ("ask", "evaluations", "gradients"),
    [
        (lambda f, z: jax.vmap(f)(z), 7, 0),
        (lambda f, z: jax.vmap(jax.grad(f))(z), 0, 7),
        (lambda f, z: jax.vmap(jax.value_and_grad(f))(z), 0, 7),
        (lambda f, z: jax.hessian(f)(z[0]), 0, 5),
        (lambda f, z: jax.vmap(jax.hessian(f))(z), 0, 35),
        (
            lambda f, z: jax.lax.scan(
                lambda at, _: (at + 0.1 * jax.vmap(jax.grad(f))(at), None), z, length=3
            )[0],
            0,
            21,
        ),
        (lambda f, z: jax.grad(lambda m: jax.vmap(f)(m + z).sum())(jnp.ones((1, 5))), 0, 7),
    ],
)
def test_every_point_counts_once(ask, evaluations, gradients):
    counter, z = Counter(), jnp.ones((7, 5))
    found = jax.jit(lambda z: ask(counter.of(sum_of_powers), z))(z)
    for mine, plain in zip(
        jax.tree.leaves(found), jax.tree.leaves(ask(sum_of_powers, z)), strict=True
    ):
        np.testing.assert_allclose(mine, plain, rtol=1e-6)
    assert (counter.evaluations, counter.gradients) == (evaluations, gradients)


def test_points_of_numpy_count_whether_one_or_many():
    counted = Counted(PROBLEMS["eggbox"].likelihoods[0])
    counted(np.ones(2))
    counted(np.ones((5, 2)))
    assert counted.evaluations == 6


def test_a_model_with_data_is_asked_datum_by_datum():
    problem = PROBLEMS["pca-wine-2"]
    found = over_data(problem, lambda likelihood: Answer(1.0, 0.2, 3))
    n = len(problem.likelihoods)
    assert found.log_z == pytest.approx(1)
    assert found.error == pytest.approx(0.2 / np.sqrt(n))
    assert found.evaluations == 3 * n
    assert over_data(problem, lambda likelihood: Answer(1.0, None, None)).error is None


FAKE = """
class NestedSampler:
    def __init__(self, likelihood, transform, dim, rstate):
        self.ask = lambda: likelihood(transform(rstate.random(dim)))
        self.dim = dim
    def run_nested(self, print_progress):
        while self.dim == 2:
            pass
        if self.dim == 3:
            raise RuntimeError("three is too many")
        self.ask(), self.ask()
    class results:
        logz, logzerr = [-7.0, -8.0], [1.0, 0.25]
"""


@pytest.mark.slow
def test_who_is_late_broken_or_absent_is_reported(tmp_path):
    (tmp_path / "dynesty.py").write_text(FAKE)
    (tmp_path / "nautilus.py").write_text("raise ModuleNotFoundError('no', name='nautilus')")
    (tmp_path / "ultranest.py").write_text("raise RuntimeError('out of order')")
    process, rows = run(
        tmp_path,
        "--only=dynesty,nautilus,ultranest",
        "--targets=eggbox,correlated-normal-3,log-gamma",
        "--limit-seconds=2",
        f"--picture={tmp_path / 'picture.png'}",
        pythonpath=[tmp_path],
    )
    assert process.returncode == 0, process.stderr
    said = {(row["contestant"], row["problem"]): row for row in rows}
    assert said["dynesty", "eggbox"]["status"] == "no answer in 2 s"
    assert (
        said["dynesty", "correlated-normal-3"]["status"]
        == "failed: RuntimeError: three is too many"
    )
    answer = said["dynesty", "log-gamma"]
    assert answer["status"] == "answered"
    assert answer["off"] == pytest.approx(-8 - PROBLEMS["log-gamma"].log_z)
    assert (answer["error"], answer["evaluations"], answer["gradients"]) == (0.25, 2, 0)
    assert {row["status"] for row in rows if row["contestant"] == "nautilus"} == {
        "not installed: nautilus"
    }
    assert said["ultranest", "eggbox"]["status"] == "failed: RuntimeError: out of order"
    assert "| log-gamma | 1 | -8.3349 | +0.335 ± 0.250; 2; 0.0 s |" in process.stdout
    assert "no answer in 2 s" in process.stdout
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only=tightbound,multinest"], "got multinest"),
        (["--targets=eggboxes"], "got eggboxes"),
        (["--keys=0"], "--keys of at least 1"),
        (["--limit-seconds=nan"], "--limit-seconds above 0"),
    ],
)
def test_wrong_options_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_tightbound_answers_and_is_counted(tmp_path):
    process, rows = run(tmp_path, "--only=tightbound", "--targets=log-gamma,pca-wine-2", "--keys=2")
    assert process.returncode == 0, process.stderr
    assert [row["status"] for row in rows] == ["answered"] * 4
    for row in rows:
        assert row["verdict"]
        assert abs(row["off"]) < 0.2
        # A closed form asks for nothing.
        assert (row["evaluations"] > 0) == (row["problem"] == "log-gamma")
    assert rows[0]["off"] != rows[1]["off"]


def row(contestant="tightbound", problem="log-gamma", **changes):
    found = {
        "problem": problem,
        "dim": 1,
        "exact": 0.0,
        "smooth": True,
        "held": problem in HELD,
        "contestant": contestant,
        "versions": {},
        "seed": 0,
        "status": "answered",
        "off": 0.01,
        "log_z": 0.01,
        "error": 0.02,
        "evaluations": 1000,
        "gradients": 0,
        "seconds": 1.0,
        "verdict": "",
    }
    return found | changes


def test_the_table_says_where_we_lose():
    rows = [
        row(verdict="trust", gradients=500),
        row("dynesty", evaluations=2000, off=-0.2, error=0.1),
        row(problem="funnel-10", verdict="trust", off=-0.5, smooth=False),
        row("dynesty", "funnel-10", evaluations=10, smooth=False),
        row(problem="linear-20", verdict="use AIS", off=9.0, evaluations=None, gradients=None),
        row("dynesty", "linear-20", status="no answer in 2 s", off=None, log_z=None, error=None,
            evaluations=None, gradients=None, seconds=None),
    ]  # fmt: skip
    assert cost(rows[0]) == 2500
    assert cost(rows[4]) is None
    text = markdown(rows)
    # answered; within 0.05; within three errors; trusted; wrongly trusted; cost and time
    assert "| tightbound |  | 3 of 3 | 1 | 1 of 3 | 2 | 1 | 1.75k | 1.0 |" in text
    assert "| dynesty |  | 2 of 3 | 1 | 2 of 2 |  |  | 1k | 1.0 |" in text
    assert "log-gamma: fewer evaluations by dynesty." in text
    assert 'funnel-10: a wrong "trust".' in text
    assert "funnel-10: fewer" not in text
    assert "| linear-20* | 1 | 0.0000 | +9.000 ± 0.020; not counted; 1.0 s; use AIS |" in text
    assert "+0.010 ± 0.020; 1k + 500 g; 1.0 s; trust" in text
    # Of two keys the medians, and how many answered.
    two = [row(off=0.0), row(seed=1, off=0.2), row(seed=2, status="no answer in 2 s", off=None)]
    assert "+0.100 ± 0.020; 1k; 1.0 s (2 of 3 keys)" in markdown(two)
    assert picture(rows).startswith(b"\x89PNG")


def test_every_contestant_has_its_file():
    folder = ROOT / "benchmarks" / "evidence" / "contestants"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {contestant.module for contestant in CONTESTANTS}
    assert set(TUNED) | set(HELD) == set(PROBLEMS)
