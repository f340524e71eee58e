"""Runs that are killed again and again end with the bits of a run that never was.

Each process of this file is a real one (`child`, at the end), and each is killed by a real
SIGKILL: from outside, or by itself at a moment that nothing outside could hit.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tightbound as tb
from tightbound.core.digests import arrays as arrays_of_files
from tightbound.core.digests.arrays import read_arrays

EPOCHS = 40
pytestmark = pytest.mark.slow  # eleven processes
VARIANTS = {
    "one seed": {},
    "two seeds, average, early stopping": {"seeds": 2, "average": 0.8, "early_stopping": 7},
}
# What happens, at which epoch (or checkpoint of that process), and how often checkpoints are due.
KILLS = {
    "one seed": [("renamed", 2, "always"), ("outside", 7, "by share")],
    "two seeds, average, early stopping": [
        ("claimed", 0, "always"),
        ("writing", 2, "always"),
        ("outside", 5, "once"),
        ("torn", 19, "always"),  # with both replicas past their best
    ],
}


def launch(folder, *arguments, **environment):
    root = Path(tb.__file__).parent.parent
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, __file__, str(folder), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def cached(folder):
    """Has the killed processes share what they compile; the whole runs compile for themselves."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def records(folder):
    path = folder / "metrics.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def kill(folder, variant, what, at, due):
    """Runs a process until it is killed; returns (records, epochs in the checkpoint)."""
    process = launch(folder, variant, what, at, due, **cached(folder))
    if what == "outside":
        while process.poll() is None and len(records(folder)) < at:
            time.sleep(0.01)
        process.kill()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    path = folder / "checkpoints" / "last.safetensors"
    done = read_arrays(path, "checkpoint")[1]["epoch"] if path.exists() else 0
    return len(records(folder)), done


def killed(folder, variant):
    passed = [kill(folder, variant, *how) for how in KILLS[variant]]
    finish(launch(folder, variant, **cached(folder)))
    return passed


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Runs a variant whole and killed: the root of both folders, and what each kill left behind."""

    @functools.cache
    def of(variant):
        root = tmp_path_factory.mktemp("runs")
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(lambda: finish(launch(root / "whole" / variant, variant)))
            passed = killed(root / "killed" / variant, variant)
            whole.result()
        return root, passed

    return of


each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
def test_a_killed_run_ends_like_a_whole_one(variant, outcome, same_bits):
    root, _ = outcome(variant)
    ended, expected = root / "killed" / variant, root / "whole" / variant
    for name in ("final.safetensors", "checkpoints/last.safetensors"):
        kind = "saved run" if name.startswith("final") else "checkpoint"
        (arrays, metadata), (others, meant) = (
            read_arrays(f / name, kind) for f in (ended, expected)
        )
        assert arrays
        same_bits(arrays, others)
        if kind == "checkpoint":
            assert metadata == meant
    lines, others = ([json.loads(line) for line in records(f)] for f in (ended, expected))
    for line in lines + others:
        assert line.pop("seconds") > 0
        assert line.pop("sha256")
    assert lines == others
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    if "early_stopping" in VARIANTS[variant]:
        assert 20 < len(lines) < EPOCHS
        assert {len(line["validation_bound"]) for line in lines} == {2}
    else:
        assert len(lines) == EPOCHS
    files = {path.relative_to(ended) for path in ended.rglob("*") if path.is_file()}
    assert files == {path.relative_to(expected) for path in expected.rglob("*") if path.is_file()}
    assert {path.name for path in files} == {
        *(".lock", "metrics.jsonl", "last.safetensors", "final.safetensors")
    }


@each_variant
def test_the_kills_came_when_they_should(variant, outcome):
    """(records, epochs in the checkpoint) after each kill; a torn line counts as a record."""
    _, passed = outcome(variant)
    if variant == "one seed":
        assert passed[0] == (2, 2)
        assert passed[1][0] >= 7
        assert passed[1][0] >= passed[1][1] > 2
    else:
        assert passed[:2] == [(0, 0), (2, 1)]
        assert passed[2][0] >= 5
        assert passed[2][1] == 2
        assert passed[3] == (19, 18)


def arrange(what, at):
    """Has this process kill itself at the moment named, or be slow enough to be killed."""
    from tightbound.training.history import MetricsFile
    from tightbound.training.loop import Loop

    written = 0
    write, run_epoch, append = arrays_of_files.write_atomic, Loop.epoch, MetricsFile.append

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def halve_and_die(handle):
        os.ftruncate(handle, os.fstat(handle).st_size // 2)
        die()

    def patched_write(path, data):
        nonlocal written
        written += 1
        if what == "writing" and written == at:
            os.fsync = halve_and_die
        write(path, data)
        if what == "renamed" and written == at:
            die()

    def patched_epoch(self, state, epoch):
        if what == "claimed":
            die()
        if what == "outside":
            time.sleep(0.1)
        return run_epoch(self, state, epoch)

    def half_of(write):
        def half_and_die(handle, data):
            write(handle, data[: len(data) // 2])
            die()

        return half_and_die

    def patched_append(self, record):
        if what == "torn" and record.epoch == at:
            os.write = half_of(os.write)
        append(self, record)

    arrays_of_files.write_atomic = patched_write
    Loop.epoch, MetricsFile.append = patched_epoch, patched_append


def child(folder, variant, what="nothing", at="0", due="always"):
    """One process: starts the run in the folder, or goes on with it."""
    import optax

    from tightbound.training import store

    if due != "by share":
        store.CHECKPOINT_SHARE = np.inf if due == "always" else 0.0
    arrange(what, int(at))
    rng = np.random.default_rng(0)
    grey = rng.random((21, 6)).astype(np.float32)
    run = tb.fit(
        *tb.autoencoder(grey, latent=2, hidden=(4,)),
        grey,
        validation=grey[:5],
        objective=tb.objectives.elbo(),
        optimizer=optax.adam(0.05),
        batch_size=4,
        epochs=EPOCHS,
        directory=folder,
        resume=True,
        **VARIANTS[variant],
    )
    tb.save(Path(folder) / "final.safetensors", run)


if __name__ == "__main__":
    child(*sys.argv[1:])
