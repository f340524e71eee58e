"""Strict numerics for every test, and keys from a counter so that each failure can be repeated."""

import gc
import itertools
import os
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
# Most of the time goes into compiling programs that run for milliseconds. LLVM without its
# optimisations takes a third off, and the rest compiles in a third of the time without the
# emitters of fusions and with one module to a program. Only the jaxlib of the lock file is known
# to have these flags: an unknown one ends the process. `XLA_FLAGS= pytest` tests without any.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    + (
        " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        " --xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE"
        if version("jaxlib") == "0.10.2"
        else ""
    ),
)

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


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs():
    """Lets compiled programs go before a process has the 65,530 memory maps that it may have.

    Each takes several, and one too many ends the process within the compiler.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 15_000:
        jax.clear_caches()
        gc.collect()


# A file stays on one worker (`--dist loadfile`), so that what it compiles is compiled once; the
# longest go first, so that no worker is left with one of them at the end.
_LONGEST = (
    "test_unbiased.py",
    "test_resume.py",
    "test_fit.py",
    "test_steps.py",
    "test_finite_differences.py",
    "test_docs.py",
    "test_discrete.py",
    "test_mcem.py",
)


def pytest_collection_finish():
    """Spares the collector the modules and tests that stay, and most of its rounds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items):
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
