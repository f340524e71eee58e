"""Gradients against finite differences at fixed noise, in float64 and a process of its own."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import CASES
from tests.laws import runs

NAMES = [(name, at) for name, at in runs.NAMES if not CASES[name].at_random]


@functools.cache
def errors():
    script = Path(__file__).with_name("finite_differences.py")
    environment = {
        **os.environ,
        "JAX_ENABLE_X64": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "layers"), [(n, at) for n, at in NAMES if CASES[n].weighs])
def test_gradients_are_finite_differences_of_their_terms(name, layers):
    assert errors()[f"{name}-{layers}"] < 1e-8


@pytest.mark.parametrize(("name", "layers"), [(n, at) for n, at in NAMES if CASES[n].total])
def test_total_derivatives_are_finite_differences_of_the_bound(name, layers):
    assert errors()[f"{name}-of-bound-{layers}"] < 1e-8
