"""Is the compiler right? What may crash or hang runs in a process of its own, with a time limit."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tightbound.core.compilation import FUSES_WRONGLY, JAXLIB, jit
from tightbound.doctor.check import Check, judged, tolerance

PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpyro", "blackjax", "numpy", "safetensors")
SLOW_SCANS = ("0.11.1",)
"""Versions of jaxlib in which a scan that stacks less than 256 bytes takes quadratic time."""
ROWS = tuple(2**j + 1 for j in (10, 12, 14, 15, 16))


def versions(jaxlib_version: str = JAXLIB) -> Check:
    """What is installed, on which devices, and whether a version is known to be wrong or slow."""
    installed = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    devices = ", ".join(str(device) for device in jax.devices())
    found = f"Python {platform.python_version()}, {', '.join(installed)}; {devices}"
    advice = ""
    if jaxlib_version in SLOW_SCANS:
        advice = f"jaxlib {jaxlib_version} takes quadratic time for long scans: install another one"
    elif jaxlib_version in FUSES_WRONGLY and jax.default_backend() == "cpu":
        advice = (
            f"jaxlib {jaxlib_version} computes some sums of products wrongly on CPU: tightbound's "
            "own programs are compiled around it; for yours set "
            "XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type="
        )
    return Check("versions", jaxlib_version not in SLOW_SCANS, found, advice)


def sums_of_squares(compile: Callable[..., Any] = jit) -> Check:  # noqa: A002
    """Sums of (M row)^2 over 2^j + 1 rows, in which jaxlib 0.10.2 has a last row wrong."""
    rng = np.random.default_rng(0)
    program = compile(lambda x, m: jax.vmap(lambda row: jnp.sum((m @ row) ** 2))(x))
    worst = {}
    for n in ROWS:
        # All are positive, so that nothing cancels and relative errors are those of rounding.
        x = np.abs(rng.normal(size=(n, 3))).astype(np.float32)
        m = np.abs(rng.normal(size=(3, 3))).astype(np.float32)
        exact = np.sum((x.astype(np.float64) @ m.T.astype(np.float64)) ** 2, axis=1)
        worst[n] = float(np.max(np.abs(np.asarray(program(x, m)) / exact - 1)))
    n = max(worst, key=lambda n: worst[n])
    return judged(
        "compiled sums of squares",
        worst[n],
        tolerance(),
        f"largest relative error {worst[n]:.1e}, at {n} rows",
        "the compiler is wrong (jax-ml/jax#39103): install another jaxlib, or set "
        "XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=",
    )


def products_of_rank_7(seconds: float = 120.0) -> Check:
    """A sum of products with seven axes, which crashes or hangs in jaxlib 0.10.2 and 0.11.0."""
    return _apart(
        "products of rank 7",
        "_rank_7",
        seconds,
        "the compiler is wrong (jax-ml/jax#39257, #40412): install another jaxlib, or set "
        "XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=",
    )


def triangular_systems(seconds: float = 120.0) -> Check:
    """Many small triangular systems under `vmap`, where threads have been seen to wait for ever."""
    return _apart(
        "triangular systems",
        "_triangular",
        seconds,
        "batched LAPACK calls wait for each other's threads; tightbound makes none, and your own "
        "programs do not wait on one core (taskset -c 0): install another jaxlib",
    )


def _apart(name: str, function: str, seconds: float, advice: str) -> Check:
    """What a function of this module says its error is, in a process that may crash or hang."""
    code = f"from tightbound.doctor import compiler; print('error', compiler.{function}())"
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            timeout=seconds,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check(name, ok=False, found=f"no answer within {seconds:g} seconds", advice=advice)
    if done.returncode < 0:
        return Check(name, ok=False, found=f"killed by signal {-done.returncode}", advice=advice)
    if done.returncode > 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Check(name, ok=False, found=f"stopped: {last}", advice=advice)
    error = float(done.stdout.rsplit("error ", 1)[1])
    return judged(name, error, tolerance(), f"largest relative error {error:.1e}", advice)


def _rank_7(compile: Callable[..., Any] = jit) -> float:  # noqa: A002
    rng = np.random.default_rng(0)
    a, b = (np.abs(rng.normal(size=(3, 1, 2, 2, 8, 8, 8))).astype(np.float32) for _ in "ab")
    summed = np.asarray(compile(lambda a, b: jnp.sum(a * b, axis=3))(a, b))
    return float(np.max(np.abs(summed / np.sum(a.astype(np.float64) * b, axis=3) - 1)))


def _triangular() -> float:
    rng = np.random.default_rng(0)
    lower = np.tril(rng.normal(size=(64, 32, 8, 8))) + 8 * np.eye(8)
    right = rng.normal(size=(64, 32, 8))
    solve = jit(
        jax.vmap(jax.vmap(lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True)))
    )
    exact = np.linalg.solve(lower, right[..., None])[..., 0]
    worst = 0.0
    for _ in range(50):
        found = np.asarray(solve(lower.astype(np.float32), right.astype(np.float32)))
        worst = max(worst, float(np.max(np.abs(found - exact))) / float(np.max(np.abs(exact))))
    return worst
