"""Whatever goes wrong, one line says it; faults of ours are not hidden."""

import errno
import os
import subprocess
import sys

import jax
import pytest

from tightbound.cli.output import say
from tightbound.core.errors import NonFiniteError, UsageError


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UsageError("a\nb"), 2, "a b"),
        (NonFiniteError("step 3"), 1, "step 3"),
        (OSError(errno.ENOSPC, "full", "runs/r/a"), 2, "runs/r/a: full; free some space"),
        (OSError(errno.EACCES, "x", "runs"), 2, "cannot use runs: x; change its permissions"),
        (OSError(errno.EDQUOT, "x", "a", None, "b"), 2, "cannot use a -> b: x; free some space"),
        (OSError(errno.EBADF, "Bad file descriptor"), 2, "Bad file descriptor"),
        (MemoryError(), 2, "out of memory: lower --batch-size"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 2, "out of memory"),
    ],
)
def test_errors_of_users_are_one_line(tightbound, monkeypatch, error, status, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("tightbound.runs.fit_run", fail)
    got, out, err = tightbound("fit", "digits", "--json")
    assert (got, out, err.count("\n")) == (status, "", 1)
    assert err.startswith("tightbound: ")
    assert message in err


def test_our_own_faults_are_not_hidden(tightbound, monkeypatch):
    def fail(*arguments, **options):
        raise TypeError("ours")

    monkeypatch.setattr("tightbound.runs.fit_run", fail)
    with pytest.raises(TypeError, match="ours"):
        tightbound("fit", "digits")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "interrupted; nothing was written"),
        (("config.toml",), "interrupted; `tightbound fit --resume --name r` goes on"),
        (("config.toml", "model.safetensors"), "interrupted; the fit is done: `tightbound eval"),
    ],
)
def test_an_interrupted_fit_says_how_to_go_on(tightbound, monkeypatch, files, message):
    def interrupted(settings, directory, *, resume):
        for file in files:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / file).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("tightbound.runs.fit_run", interrupted)
    status, _, err = tightbound("fit", "digits", "--name", "r")
    assert (status, err.count("\n")) == (130, 1)
    assert message in err


def test_a_file_named_runs_is_named(tightbound, tmp_path):
    (tmp_path / "runs").touch()
    status, _, err = tightbound("fit", "digits")
    assert (status, err.count("\n")) == (2, 1)
    assert "a file named runs" in err


def test_a_reader_who_has_gone_is_no_error():
    end, start = os.pipe()
    os.close(end)
    command = [sys.executable, "-m", "tightbound", "fit", "--help"]
    done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, text=True, check=False)
    os.close(start)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("name", ["a\x1b[2Jb.toml", "a\udcffb.toml", "a\u202eb.toml"])
def test_names_that_steer_a_terminal_are_shown_by_their_escapes(tightbound, name):
    status, _, err = tightbound("fit", "--config", name)
    assert (status, err.count("\n")) == (2, 1)
    assert err[:-1].isprintable()
    assert ascii(name)[1:-1] in err


def test_what_is_printed_can_be_written(capsys):
    say({"file": "a\udcff\x1b.npy", "n": 1}, as_json=False)
    assert capsys.readouterr().out == "file: a\\udcff\\x1b.npy, n: 1\n"


@pytest.mark.parametrize("words", [("--layers", "--"), ("--preset=--",), ("--optimizer", "--")])
def test_two_dashes_are_no_value(tightbound, words):
    status, _, err = tightbound("fit", "digits", *words)
    assert (status, err.count("\n")) == (2, 1)
    assert "needs a value" in err
