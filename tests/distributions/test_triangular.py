"""Factors and inverses by matrix products, and what LAPACK in batches does on CPU."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tightbound.distributions import by_name
from tightbound.distributions.triangular import cholesky, inverse

SRC = Path(tb.__file__).parent
CALLS = {
    "solve_triangular", "triangular_solve", "cho_solve", "cho_factor", "MultivariateNormal",
    "MultivariateStudentT", "multivariate_normal",
}  # fmt: skip
"""Batches of triangular solves, here and in what others' densities call."""
ELSEWHERE = {"doctor/compiler.py": {"solve_triangular"}, "models/problems.py": CALLS}
"""The doctor asks whether they come to an end; of NumPy's draws there is no batch."""

MINIMAL = """
import os, threading, time
import jax, jax.numpy as jnp, numpy as np
from tightbound.distributions import triangular

d, n = 22, 1000
factors = np.tril(np.random.default_rng(0).normal(size=(n, d, d))) + 8 * np.eye(d)
factors, right = jnp.asarray(factors, jnp.float32), jnp.ones((n, d), jnp.float32)
by_lapack = lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True)
by_products = lambda a, b: triangular.inverse(triangular.cholesky(a @ a.T)) @ b
solve = {SOLVE}
# Eight batches that do not wait for each other: the compiler runs them on its threads at once.
program = jax.jit(lambda a, b: sum(jax.vmap(solve)(a * (1 + i), b) for i in range(8)))
last = [None]

def watch():
    while True:
        time.sleep(0.5)
        if last[0] is not None and time.monotonic() - last[0] > 10:
            before = time.process_time()
            time.sleep(1)
            if time.process_time() - before < 0.2:  # it waits, and does not compute
                print("hangs", flush=True)
                os._exit(3)

program.lower(factors, right).compile()
threading.Thread(target=watch, daemon=True).start()
for _ in range({CALLS}):
    last[0] = time.monotonic()
    program(factors, right).block_until_ready()
print("done")
"""


def of_process(solve, calls, seconds):
    """What the minimal example says in a process of its own."""
    code = MINIMAL.replace("{SOLVE}", solve).replace("{CALLS}", str(calls))
    environment = os.environ | {"PYTHONPATH": str(SRC.parent), "JAX_PLATFORMS": "cpu"}
    environment.pop("XLA_FLAGS", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        timeout=seconds,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.strip() in ("hangs", "done"), done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("d", [1, 2, 3, 7, 22, 64])
def test_factors_and_inverses_are_those_of_double_precision(d):
    rows = np.random.default_rng(d).normal(size=(d, 2 * d + 2))
    exact = np.linalg.cholesky(rows @ rows.T)
    found = jax.jit(cholesky)(jnp.asarray(rows @ rows.T, jnp.float32))
    np.testing.assert_allclose(found, exact, atol=1e-5 * np.abs(exact).max())
    # What stands above the diagonal is not read.
    above = np.triu(np.full((d, d), np.nan), 1)
    inverted = jax.jit(inverse)(jnp.asarray(exact + above, jnp.float32))
    reference = np.linalg.inv(exact)
    np.testing.assert_allclose(inverted, reference, atol=1e-5 * np.abs(reference).max())


def test_derivatives_of_a_factor_are_those_of_lapack():
    rows = np.random.default_rng(0).normal(size=(4, 9))
    matrix = jnp.asarray(rows @ rows.T, jnp.float32)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(4, 4)), jnp.float32)

    def of(factor):
        return jax.grad(lambda m: jnp.sum(weights * jnp.sin(factor(m))))(matrix)

    np.testing.assert_allclose(of(cholesky), of(jnp.linalg.cholesky), rtol=1e-4, atol=1e-6)


def test_a_matrix_that_is_not_positive_definite_has_no_factor():
    assert np.isnan(cholesky(jnp.array([[1.0, 2.0], [2.0, 1.0]]))).any()


@pytest.mark.parametrize("name", ["inverse", "cholesky", "elliptical", "elliptical_t"])
def test_programs_and_their_gradients_call_no_lapack(name):
    matrices, right = jnp.stack([jnp.eye(3)] * 4), jnp.ones((4, 3))

    def one(matrix, right):
        if name in ("inverse", "cholesky"):
            return jnp.sum({"inverse": inverse, "cholesky": cholesky}[name](matrix) @ right)
        others = (jnp.float32(5.0),) if name == "elliptical_t" else ()
        return by_name(name).log_density(right, right, matrix, *others)

    program = jax.jit(jax.vmap(jax.value_and_grad(one)))
    assert "lapack" not in program.lower(matrices, right).as_text()
    by_solves = jax.jit(jax.vmap(lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True)))
    if jax.default_backend() == "cpu":  # it could have failed
        assert "lapack" in by_solves.lower(matrices, right).as_text()


def test_no_file_calls_triangular_solves_or_factors_of_lapack():
    for path in SRC.rglob("*.py"):
        place = path.relative_to(SRC).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "attr", getattr(node, "id", None))
            assert name not in CALLS - ELSEWHERE.get(place, set()), f"{place}: {name}"
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "jnp.linalg":
                assert name in ("norm", "eigh"), f"{place}: jnp.linalg.{name}"


@pytest.mark.slow
def test_batches_by_matrix_products_come_to_an_end():
    assert of_process("by_products", 20, 120) == "done"


@pytest.mark.slow
def test_batches_of_lapack_hang():
    """The minimal example of the fault; the day it is gone, `triangular` may go too."""
    if not any(of_process("by_lapack", 400, 200) == "hangs" for _ in range(4)):
        pytest.skip(
            "4 processes made 400 calls each of 8 batches of 1,000 triangular systems of 22 "
            f"unknowns, on {os.cpu_count()} cores, and none waited for ever"
        )
