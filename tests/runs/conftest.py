"""A small run that has been fitted and evaluated, and copies of it to damage."""

import os
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tightbound import runs
from tightbound.recipes.settings import Config
from tightbound.training.loop import Loop

RUN = Path("runs") / "r"
K = 10


@pytest.fixture(scope="session")
def config():
    """Settings of a run whose steps are nothing beside their compilation."""
    return Config(
        data="table.npy",
        likelihood="gaussian",
        latent="1",
        hidden="2",
        k=2,
        epochs=2,
        batch_size=4,
        optimizer="adam",
        schedule="constant",
        evaluate_k=0,
    )


@pytest.fixture(scope="session")
def table():
    return np.random.default_rng(0).normal(50, 3, size=(30, 2)).astype(np.float32)


@pytest.fixture(scope="session")
def template(tmp_path_factory, config, table):
    """A folder with the data, and with the run as it stood before and after each renaming."""
    root = tmp_path_factory.mktemp("template")
    before, replace = Path.cwd(), os.replace
    os.chdir(root)
    np.save("table.npy", table)

    def snapshot(source, target):
        number = len(list(root.glob("kills/*")))
        shutil.copytree(root / "runs", root / "kills" / f"{number:02d}")
        replace(source, target)

    os.replace = snapshot
    try:
        runs.fit_run(config, RUN, resume=False)
        os.replace = replace
        runs.evaluate_run(RUN, k=K)
    finally:
        os.replace = replace
        os.chdir(before)
    return root


@pytest.fixture
def run(template, tmp_path, monkeypatch):
    """A copy of the run, in the working directory."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True, ignore=lambda *_: ["kills"])
    monkeypatch.chdir(tmp_path)
    return RUN


@pytest.fixture(scope="module")
def _loops():
    return []


@pytest.fixture
def one_loop(_loops, monkeypatch):
    """Compiles the training of `config` once for all tests of a file, however often it is fitted.

    A loop knows nothing of epochs and keeps nothing between them.
    """

    def make(*arguments):
        _loops.append(Loop(*arguments)) if not _loops else None
        return _loops[0]

    monkeypatch.setattr(import_module("tightbound.training.fit"), "Loop", make)


@pytest.fixture(scope="session")
def folder_bytes():
    """All files below a folder, with their contents."""
    return lambda root: {
        path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
