import os
import subprocess
import sys

import pytest

from tightbound.cli import main
from tightbound.cli.compilation import SWITCH


@pytest.fixture
def tightbound(monkeypatch, tmp_path, capsys, blank_charts):
    """Runs the command line in an empty folder; returns status, standard output and error.

    Charts are blank in its reports; `tests/report` draws them.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SWITCH, "off")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tightbound", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def script(tmp_path):
    """Runs a script in a Python of its own, in an empty folder."""

    def run(code, *arguments, **environment):
        env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def fitted_once(tmp_path_factory):
    """A small run named r under runs/ of a folder: to be copied, not changed."""
    folder = tmp_path_factory.mktemp("fitted")
    sizes = ("--latent", "3", "--hidden", "8", "--k", "2", "--epochs", "1")
    before, argv = os.getcwd(), sys.argv
    os.chdir(folder)
    os.environ[SWITCH] = "off"
    sys.argv = [
        "tightbound",
        "fit",
        "digits",
        *sizes,
        "--evaluate-k",
        "20",
        "--name",
        "r",
        "--json",
    ]
    try:
        with pytest.raises(SystemExit, match="0"):
            main()
    finally:
        os.chdir(before)
        sys.argv = argv
        del os.environ[SWITCH]
    return folder / "runs" / "r"
