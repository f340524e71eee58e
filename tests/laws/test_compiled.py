"""Compiled programs give the numbers of the same operations one by one, at sizes 2^j + 1.

XLA's optimisations, which other tests do without, are on. Sizes just beyond a power of two are
where vectorised loops have a remainder, and where a compiler known to us gave wrong sums
(`tightbound doctor` looks for it).
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import tightbound as tb
from tests.cases import CASES
from tests.laws.runs import WRONG, parts_of
from tests.once import step
from tightbound.core.compilation import filter_jit

HERE = Path(__file__)
ON = "optimization_level=0" not in os.environ.get("XLA_FLAGS", "")
with_optimisations = pytest.mark.skipif(not ON, reason="run by the test in a process of its own")
QUICK = ("iwae-dreg",)
SIZES = (5, 9, 17)


@pytest.mark.skipif(ON, reason="the tests below run with optimisations themselves")
@pytest.mark.parametrize("which", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_the_laws_hold_with_the_compiler_s_optimisations(which):
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", which, str(HERE)]
    done = subprocess.run(
        command,
        cwd=HERE.parents[2],
        env={**os.environ, "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@with_optimisations
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name, case in CASES.items()
        if case.layers
    ],
)
def test_a_compiled_step_is_that_of_its_operations(name):
    objective = CASES[name].objective
    parts = parts_of(WRONG, 1)
    for n in SIZES[: 1 if name in QUICK else None]:
        x = jax.vmap(parts.model.sample)(jax.random.split(jax.random.key(n), n))[0]
        keys = jax.random.split(jax.random.key(1), n)
        compiled = filter_jit(lambda parts, x, keys: step(objective, parts, x, keys))
        found = compiled(parts, x, keys)
        one_by_one = step(objective, parts, x, keys)
        np.testing.assert_allclose(found.bound, one_by_one.bound, rtol=2e-5, atol=2e-5)
        pairs = zip(jax.tree.leaves(found.grads), jax.tree.leaves(one_by_one.grads), strict=True)
        for one, other in pairs:
            scale = max(1.0, float(np.abs(other).max()))
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-4 * scale)


@with_optimisations
@pytest.mark.parametrize("n", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in SIZES[1:])])
def test_an_evaluation_is_that_of_its_operations(n):
    parts = parts_of(WRONG, 1)
    x = jax.vmap(parts.model.sample)(jax.random.split(jax.random.key(n), n))[0]
    found = tb.evaluate(parts.model, parts.posterior, np.asarray(x), k=n)
    z = tb.draws(parts.model, parts.posterior, np.asarray(x), n=n)
    log_w = jax.vmap(jax.vmap(parts.model.log_joint, (None, 0)))(x, z) - jax.vmap(
        jax.vmap(lambda z, x: parts.posterior.log_prob(z, x), (0, None))
    )(z, x)
    expected = jax.nn.logsumexp(log_w, axis=1) - np.log(n)
    np.testing.assert_allclose(found.log_evidence, expected, rtol=2e-5, atol=2e-5)
