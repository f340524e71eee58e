import sys

import pytest

from tightbound.cli import main


@pytest.fixture
def tightbound(monkeypatch, tmp_path, capsys):
    """Runs the command line in an empty folder; returns status, standard output and error."""
    monkeypatch.chdir(tmp_path)

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
