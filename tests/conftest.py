"""Strict numerics for every test, and keys from a counter so that each failure can be repeated."""

import itertools
import os

os.environ.setdefault("MPLBACKEND", "agg")

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_FLAGS = ("jax_enable_x64", "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion")


@pytest.fixture
def getkey():
    counter = itertools.count()
    return lambda: jax.random.fold_in(jax.random.key(20150901), next(counter))


@pytest.fixture(autouse=True)
def _flags_unchanged():
    before = [getattr(jax.config, flag) for flag in _FLAGS]
    yield
    assert [getattr(jax.config, flag) for flag in _FLAGS] == before, "a test changed a JAX flag"


# With `--dist loadgroup` a file stays on one worker, so that what it compiles and keeps is
# compiled once; two files of laws look at the same programs.
_SAME_PROGRAMS = {"test_exact_posterior.py", "test_structure.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        name = item.path.name
        group = "laws" if name in _SAME_PROGRAMS else f"{item.path.parent.name}-{name}"
        item.add_marker(pytest.mark.xdist_group(group))
