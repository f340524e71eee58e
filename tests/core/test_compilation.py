"""Compiled programs have the options of their platform, and are right where plain ones are not."""

import ast
import functools
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

import tightbound
from tightbound import doctor
from tightbound.core import compilation
from tightbound.core.compilation import (
    FUSES_WRONGLY,
    FUSION,
    HANDS_OVER,
    compiler_options,
    filter_jit,
    jit,
)

SOURCE = Path(tightbound.__file__).parent
EITHER = pytest.mark.parametrize("compiled", [jit, filter_jit])


def test_options_are_for_the_platform_and_the_versions_that_need_them():
    assert set(FUSES_WRONGLY) < set(HANDS_OVER)
    for version in HANDS_OVER:
        assert compiler_options("cpu", version) == {FUSION: ""}
        assert compiler_options("gpu", version) is None
    assert compiler_options("cpu", "0.12.0") is None


@pytest.mark.skipif(jaxlib.__version__ != "0.10.2", reason="the fault is that of jaxlib 0.10.2")
def test_the_known_fault_of_the_compiler_is_there_and_is_not_in_our_programs(as_users):
    plain = [functools.partial(way, compiler_options=as_users) for way in (jax.jit, eqx.filter_jit)]
    assert [doctor.sums_of_squares(way).ok for way in plain] == [False, False]
    assert [doctor.sums_of_squares(way).ok for way in (jit, filter_jit)] == [True, True]


@pytest.mark.slow
@pytest.mark.skipif(jaxlib.__version__ not in FUSES_WRONGLY, reason="no fault of this jaxlib")
def test_sums_of_seven_axes_do_not_crash():
    # In a process of its own, without the flags of the tests, which may hide it.
    code = (
        "from tightbound.core.compilation import filter_jit;"
        "from tightbound.doctor.compiler import _rank_7; print(_rank_7(filter_jit) < 1e-5)"
    )
    environment = os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


@EITHER
def test_the_options_reach_the_compiler(compiled, monkeypatch):
    monkeypatch.setattr(compilation, "compiler_options", lambda *_: {"no_such_option": "1"})
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        compiled(lambda x: 2 * x)(jnp.ones(3))


@EITHER
def test_a_program_within_another_one_has_the_options_of_the_outer_one(compiled, monkeypatch):
    # JAX refuses options of an inner program, even of one whose arguments are constants.
    monkeypatch.setattr(compilation, "compiler_options", lambda *_: {"no_such_option": "1"})
    square, x = compiled(lambda x: jnp.sum(x**2)), jnp.arange(3.0)
    np.testing.assert_allclose(jax.jit(square)(x), 5)
    np.testing.assert_allclose(jax.jit(lambda: square(np.arange(3.0, dtype=np.float32)))(), 5)
    np.testing.assert_allclose(jax.grad(square)(x), 2 * x)
    np.testing.assert_allclose(jax.vmap(square)(x[None]), [5])
    np.testing.assert_allclose(jax.lax.map(square, x[None]), [5])


@EITHER
def test_it_compiles_once_and_is_a_method_too(compiled):
    traced = []

    class Scaled(eqx.Module):
        by: jax.Array

        @compiled
        def times(self, x):
            traced.append(1)
            return self.by * x

    # `jit` takes modules of arrays, as any tree that is registered.
    for value in (1.0, 2.0):
        assert float(Scaled(jnp.asarray(3.0)).times(jnp.asarray(value))) == 3 * value
    assert len(traced) == 1


def test_donated_arguments_are_gone():
    x = jnp.ones(4)
    jit(lambda x, y: x + y, donate_argnums=0)(x, jnp.ones(4))
    assert x.is_deleted()


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_nothing_else_compiles(path):
    if path.name == "compilation.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Attribute) and ast.unparse(node) in COMPILERS), path


COMPILERS = {"jax.jit", "eqx.filter_jit", "eqx.filter_pmap", "jax.pmap"}
