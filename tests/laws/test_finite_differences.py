"""Gradients against finite differences at fixed noise, in float64 and a process of its own."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MULTISAMPLE = [f"{b}-{g}" for b in ("elbo", "iwae") for g in ("reparameterized", "stl", "dreg")]
OF_BOUND = ["elbo-reparameterized-of-bound", "iwae-reparameterized-of-bound"]


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


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", MULTISAMPLE + OF_BOUND)
def test_gradients_are_finite_differences(name, layers):
    assert errors()[f"{name}-{layers}"] < 1e-8


def test_estimator_b_is_the_finite_difference_of_its_bound():
    assert errors()["elbo-B-of-bound-1"] < 1e-8
