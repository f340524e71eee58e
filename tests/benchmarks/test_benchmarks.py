import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(folder, *arguments, pythonpath=()):
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("the benchmarks are not part of this copy")
    report = folder / "report.json"
    path = os.pathsep.join([*map(str, pythonpath), str(ROOT / "src")])
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--json", str(report), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    rows = json.loads(report.read_text())["results"] if report.exists() else []
    return process, {(row["name"], row["task"]): row for row in rows}


@pytest.mark.slow
def test_scanned_products_are_not_hoisted(tmp_path):
    process, rows = bench(
        tmp_path, "--only=products,products-one-by-one", "--steps=3", "--images=3", "--rounds=2"
    )
    assert process.returncode == 0, process.stderr
    for task in ("train", "likelihood"):
        scan, single = rows["products", task], rows["products-one-by-one", task]
        assert min(scan["milliseconds"]) > 0.3 * min(single["milliseconds"])
        assert len(scan["milliseconds"]) == 2
        assert scan["to_floor"] == 1
        pairs = zip(single["milliseconds"], scan["milliseconds"], strict=True)
        assert single["to_floor"] == pytest.approx(statistics.median(a / b for a, b in pairs))
        assert f"| {statistics.median(scan['milliseconds']):.1f} |" in process.stdout


def test_absent_and_broken_peers_are_reported(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    (tmp_path / "pyro.py").write_text("raise RuntimeError('out of order')")
    process, rows = bench(
        tmp_path, "--only=torch,pyro", "--rounds=1", "--steps=1", pythonpath=[tmp_path]
    )
    assert process.returncode == 0, process.stderr
    assert rows["torch", "train"]["status"] == "not installed: torch"
    assert rows["pyro", "likelihood"]["status"] == "failed: RuntimeError: out of order"
    assert "not installed: torch" in process.stdout


def test_unknown_contestant_is_refused(tmp_path):
    process, _ = bench(tmp_path, "--only=tightbound,jaxvae")
    assert process.returncode == 2
    assert "got jaxvae" in process.stderr


@pytest.mark.slow
def test_tightbound_estimates_what_numpyro_does(tmp_path):
    process, rows = bench(
        tmp_path,
        "--only=tightbound,numpyro,numpyro-scan",
        "--tasks=train,likelihood",
        "--steps=1",
        "--images=5",
        "--rounds=1",
    )
    assert process.returncode == 0, process.stderr
    assert {row["status"] for row in rows.values()} == {"timed"}
    ours, theirs = rows["tightbound", "train"], rows["numpyro-scan", "train"]
    assert ours["to_tightbound"] == 1
    # Ten steps over the same 1,000 items; the order of the items is worth 0.2 nats.
    assert ours["value"] == pytest.approx(theirs["value"], abs=0.6)
    ours, theirs = rows["tightbound", "likelihood"], rows["numpyro", "likelihood"]
    assert ours["value"] == pytest.approx(theirs["value"], abs=0.1)


@pytest.mark.slow
def test_steps_on_images_and_their_convolutions_are_timed(tmp_path):
    process, rows = bench(
        tmp_path, "--only=tightbound,convolutions", "--tasks=images", "--steps=1", "--rounds=1"
    )
    assert process.returncode == 0, process.stderr
    assert {row["status"] for row in rows.values()} == {"timed"}
    ours, floor = rows["tightbound", "images"], rows["convolutions", "images"]
    assert ours["to_floor"] == ours["milliseconds"][0] / floor["milliseconds"][0]
    # Half a bit for each pixel and what the untrained posterior costs; PyTorch has -543.40.
    assert ours["value"] == pytest.approx(-543.4, abs=3)
    assert "/ convolutions |" in process.stdout


def test_unknown_tasks_are_refused(tmp_path):
    process, _ = bench(tmp_path, "--tasks=train,sing")
    assert process.returncode == 2
    assert "--tasks knows train, likelihood, images; got sing" in process.stderr
