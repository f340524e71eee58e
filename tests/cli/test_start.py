"""Help and wrong calls load next to nothing: counted by modules, not timed."""

import sys

import pytest

from tightbound.cli import COMMANDS

CODE = """
import sys
from tightbound.cli import main
status = 0
try:
    main()
except SystemExit as stop:
    status = stop.code or 0
heavy = "jax jaxlib numpy scipy optax equinox numpyro PIL matplotlib rich importlib.metadata"
loaded = [name for name in heavy.split() if name in sys.modules]
print("\\nLOADED", status, *loaded)
"""
WRONG = [
    ["nonsense"],
    ["--nonsense"],
    ["fit", "--epoch", "3"],
    ["fit", "--epochs"],
    ["fit", "digits", "more"],
    ["fit", "digitz"],
    ["fit", "missing.npy"],
    ["fit", "digits", "--epochs", "0"],
    ["fit", "digits", "--k", "0"],
    ["fit", "digits", "--learning-rate", "0"],
    ["fit", "digits", "--objective", "iwea"],
    ["fit", "digits", "--objective", "iwae(k='a')"],
    ["fit", "digits", "--objective", "iwae(k=2, gradient='dregg')"],
    ["fit", "digits", "--optimizer", "adamm"],
    ["fit", "digits", "--posterior", "gama"],
    ["fit", "digits", "--split", "iwae"],
    ["fit", "--config", "missing.toml"],
    ["evaluate", "missing"],
    ["sample", "missing", "--n", 10**12],
]


def loaded(script, arguments):
    done = script(CODE, *arguments)
    assert "Traceback" not in done.stderr
    _, status, *names = done.stdout.splitlines()[-1].split()
    return int(status), names, done


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(script, command):
    status, names, done = loaded(script, [*([command] if command else []), "--help"])
    assert (status, names) == (0, [])
    assert (COMMANDS[command] if command else "COMMAND") in " ".join(done.stdout.split())


@pytest.mark.parametrize("arguments", WRONG, ids=lambda words: " ".join(map(str, words)))
def test_wrong_calls_are_refused_before_anything_is_loaded(script, arguments):
    status, names, done = loaded(script, arguments)
    assert (status, names) == (2, [])
    assert done.stderr.count("\n") == 1


def test_the_version_is_there_when_asked_for(script):
    code = (
        "import sys, tightbound; assert 'importlib.metadata' not in sys.modules\n"
        "from importlib.metadata import version\n"
        "assert tightbound.__version__ == version('tightbound')"
    )
    done = script(code)
    assert done.returncode == 0, done.stderr
    assert "numpy" in sys.modules  # of this process: the names above are those of real modules
