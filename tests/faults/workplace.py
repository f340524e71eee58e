"""A folder with small runs that are fitted once, and copies of it to do harm in."""

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.faults.commands import Tree, called, files
from tightbound.cli.compilation import SWITCH
from tightbound.core.digests.record import read_record, write_record
from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.recipes.settings import Config
from tightbound.report.exhibit import Exhibit
from tightbound.report.records import Records
from tightbound.training.loop import Loop

SETTINGS = {
    "likelihood": "gaussian",
    "latent": "2",
    "hidden": "3",
    "k": 2,
    "batch_size": 4,
    "optimizer": "adam",
    "schedule": "constant",
    "evaluate_k": 10,
}
CONFIG = Config(data="table.npy", epochs=2, **SETTINGS)
FLAGS = [
    word for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", value)
]
FIT = ["fit", "table.npy", *FLAGS, "--json", "--epochs", 2]
"""A fit of a tenth of a second once it is compiled; `--name` is lacking."""
RUN, OTHER, UNFINISHED = Path("runs/r"), Path("runs/o"), Path("runs/u")
"""A finished run; one of one epoch; one of the first's settings with one epoch of two."""

_loops: dict[Any, Loop] = {}


def _loop(static: Any, objective: Any, optimizer: Any, settings: Any, *rest: Any) -> Loop:
    """One compiled loop for each of the few configurations that are fitted here."""
    root, seeds, train, _ = rest
    key = (objective.description, str(settings), str(root), seeds, train.digest)
    if key not in _loops:
        _loops[key] = Loop(static, objective, optimizer, settings, *rest)
    return _loops[key]


def _drawn(records: Records) -> list[Exhibit]:
    """In place of figures, which take seconds: bytes that differ wherever the records do."""
    said = (records.config, records.history, records.run, records.evaluations, records.units)
    tables = {name: table.tobytes() for name, table in records.pictures.items()}
    image = hashlib.sha256(repr((said, tables, records.calibration)).encode()).digest()
    names = ("learning_curve.png", "khat.png", "samples.png")
    return [Exhibit(name, name, "a stand-in", image, image) for name in names]


@contextlib.contextmanager
def quick(folder: Path) -> Iterator[None]:
    """Works in a folder, sees nothing of this machine's data, and compiles and draws once."""
    environment = {SWITCH: "off", "XDG_CACHE_HOME": str(folder / "cache"), "no_proxy": "127.0.0.1"}
    before = Path.cwd()
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(import_module("tightbound.training.fit"), "Loop", _loop),
        mock.patch.object(import_module("tightbound.report.write"), "exhibits", _drawn),
    ):
        os.environ.pop("TIGHTBOUND_DATA", None)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@functools.cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """The folder that all others are copied from; it goes when the process ends."""
    root = tempfile.TemporaryDirectory(prefix="tightbound-faults-")
    with quick(Path(root.name)):
        rng = np.random.default_rng(0)
        np.save("table.npy", rng.normal(size=(30, 3)).astype(np.float32))
        np.save("new.npy", rng.normal(size=(3, 3)).astype(np.float32))
        _done(*FIT, "--name", RUN.name)
        _done(*FIT[:-1], 1, "--name", OTHER.name)
        _done("evaluate", RUN.name, "--k", 10, "--data", "new.npy", "--json")
        _calibrated(RUN)
        _done("report", RUN.name)
        _begun(UNFINISHED)
        _half_evaluated(RUN)
    return root


def _done(*arguments: object) -> None:
    said = called(*arguments)
    assert (said.status, said.fault) == (0, ""), said


def _calibrated(run: Path) -> None:
    """A record that only adversarial objectives write."""
    weights = read_record(run / "run.json", "run")["weights"]
    classifier = {
        "loss": 0.6,
        "accuracy": 0.7,
        "calibration_error": 0.02,
        "predicted": [0.25, 0.75],
        "observed": [0.2, 0.8],
        "counts": [10, 12],
    }
    record = {"weights": weights, "data": "validation", "draws": 22, "classifiers": [classifier]}
    write_record(run / "calibration.json", "calibration", record)


def _begun(run: Path) -> None:
    """As a kill leaves it that came between the first epoch and the second."""
    with mock.patch("tightbound.runs.writing.save", side_effect=UsageError("killed")):
        assert called(*FIT[:-1], 1, "--name", run.name).status == 2
    write_atomic(run / "config.toml", CONFIG.to_toml())


def _half_evaluated(run: Path) -> None:
    """As a kill leaves an evaluation of validation data before its record is written."""
    with kept_batches():
        with mock.patch(
            "tightbound.runs.evaluation.write_arrays", side_effect=UsageError("killed")
        ):
            assert called("evaluate", run.name, "--k", 10, "--split", "validation").status == 2
    assert list((run / "evaluations").glob(".*.npz"))


@contextlib.contextmanager
def kept_batches() -> Iterator[None]:
    """Evaluations write their finished batches at once, and leave them."""
    with (
        mock.patch("tightbound.evidence.resume.SECONDS", 0.0),
        mock.patch("tightbound.evidence.resume.Finished.remove", return_value=None),
    ):
        yield


class Workplace:
    """A copy of the runs in the working directory, which can be had as it was."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole = files(root)

    def restore(self) -> None:
        """Puts back what is not as it was."""
        put(self.root, self.whole)


@contextlib.contextmanager
def workplace() -> Iterator[Workplace]:
    """A copy of all runs, as the working directory."""
    template = Path(_template().name)
    with tempfile.TemporaryDirectory(prefix="tightbound-faults-") as folder:
        root = Path(folder).resolve()
        shutil.copytree(template, root, dirs_exist_ok=True)
        with quick(root):
            yield Workplace(root)


def put(root: Path, tree: Tree) -> None:
    """Makes a folder hold these files and no others; those that are right stay untouched."""
    found = files(root)
    for key in sorted(found, reverse=True):  # what is inside a folder comes before it
        if found[key] != tree.get(key):
            path = root / key.rstrip("/")
            if key.endswith("/") and path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for key in sorted(tree):
        path = root / key.rstrip("/")
        if key.endswith("/"):
            path.mkdir(exist_ok=True)
        elif found.get(key) != tree[key] or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tree[key])
