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


def where(says):
    """Cases by name and number of layers."""
    return runs.two_layers_slow([(name, at) for name, at in runs.NAMES if says(CASES[name])])


@functools.cache
def errors(layers):
    script = Path(__file__).with_name("finite_differences.py")
    environment = {
        **os.environ,
        "JAX_ENABLE_X64": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = subprocess.run(
        [sys.executable, str(script), str(layers)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "layers"), where(lambda case: case.weighs))
def test_gradients_are_finite_differences_of_their_terms(name, layers):
    assert errors(layers)[f"{name}-{layers}"] < 1e-8


@pytest.mark.parametrize(("name", "layers"), where(lambda case: case.total))
def test_total_derivatives_are_finite_differences_of_the_bound(name, layers):
    assert errors(layers)[f"{name}-of-bound-{layers}"] < 1e-8
