"""Strict numerics for every test, and keys from a counter so that each failure can be repeated."""

import gc
import itertools
import os
from pathlib import Path

from tests.compiler import AS_USERS, FLAGS

os.environ.setdefault("MPLBACKEND", "agg")
# Most of the time goes into compiling programs that run for milliseconds. `XLA_FLAGS= pytest`
# tests with programs as users have them.
os.environ.setdefault("XLA_FLAGS", FLAGS)

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_FLAGS = ("jax_enable_x64", "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion")


@pytest.fixture
def getkey():
    counter = itertools.count()
    return lambda: jax.random.fold_in(jax.random.key(20150901), next(counter))


@pytest.fixture
def as_users(monkeypatch):
    """Compiles the package's programs with all optimisations; gives the options for others."""
    from tightbound.core.compilation import Compiled, compiler_options

    def program(self, platform):
        if platform is None:
            return self._compiler(self._function)
        options = AS_USERS | (compiler_options(platform) or {})
        return self._compiler(self._function, compiler_options=options)

    monkeypatch.setattr(Compiled, "_program", program)
    return AS_USERS


@pytest.fixture
def blank_charts(monkeypatch):
    """One pixel for every chart of a report: drawing is slow, for tests that read the words."""
    from tightbound.report import exhibit
    from tightbound.report.pictures import samples_sheet

    pixel = samples_sheet(np.zeros((1, 1)), (1, 1), (0.0, 1.0))
    monkeypatch.setattr(exhibit, "draw_png", lambda *_, **__: pixel)


@pytest.fixture(autouse=True)
def _flags_unchanged():
    before = [getattr(jax.config, flag) for flag in _FLAGS]
    yield
    assert [getattr(jax.config, flag) for flag in _FLAGS] == before, "a test changed a JAX flag"


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs():
    """Lets compiled programs go long before the package does, which would be amid a test's calls.

    See `tightbound.core.room`.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 15_000:
        jax.clear_caches()
        gc.collect()


# A file stays on one worker (`--dist loadfile`), so that what it compiles is compiled once; the
# longest go first, so that no worker is left with one of them at the end: those of the slow tests,
# then those of the others.
_LONGEST = (
    "test_trust.py",
    "test_compiled.py",
    "test_examples.py",
    "test_resume.py",
    "test_wrappers.py",
    "test_annealed.py",
    "test_adaptive.py",
    "test_ends.py",
    "test_holes.py",
    "test_docs.py",
    "test_weighted.py",
    "test_missingness.py",
    "test_proposals.py",
    "test_em.py",
    "test_commands.py",
    "test_streaming.py",
    "test_score.py",
    "test_terms.py",
    "test_conditions.py",
    "test_steps.py",
    "test_unbiased.py",
    "test_finite_differences.py",
    "test_conditional.py",
    "test_impute.py",
    "test_numpyro_target.py",
    "test_columns.py",
    "test_fit.py",
)


def pytest_collection_finish():
    """Spares the collector the modules and tests that stay, and most of its rounds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items):
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
