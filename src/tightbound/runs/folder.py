"""A run's folder: whether a run may begin there, reading it back, and files that appear whole."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.config import Config, read_settings
from tightbound.digests.record import entry, read_record
from tightbound.errors import UsageError
from tightbound.files import is_file, refusals, write_atomic
from tightbound.locks import LOCK, SETTINGS
from tightbound.training import Run, load
from tightbound.training.saving import weights_of

MODEL = "model.safetensors"
RUN = "run.json"
_NO_RUN_YET = (LOCK, SETTINGS)


class Opened(NamedTuple):
    """A finished run as its folder holds it."""

    config: Config
    run: Run
    record: dict[str, Any]
    """What `run.json` says."""
    weights: str
    """SHA-256 of the parameters of all replicas."""


def open_run(directory: Path) -> tuple[Config, Run]:
    """Reads a run folder's settings and fitted replicas.

    Raises:
        UsageError: No such run, one that has not been finished, or a damaged file.
    """
    opened = open_whole(directory)
    return opened.config, opened.run


def open_whole(directory: Path) -> Opened:
    """Reads a run folder's settings, fitted replicas and record, which must belong together.

    Raises:
        UsageError: No such run, one that has not been finished, or a damaged file.
    """
    if not is_file(directory / SETTINGS):
        raise UsageError(f"expected a run folder at {directory}, found no config.toml in it")
    config = Config(**read_settings(directory))
    finish = f"finish it with `tightbound fit --resume --name {directory.name}`"
    if not is_file(directory / MODEL):
        raise UsageError(f"{directory} holds no fitted model yet: {finish}")
    run = load(directory / MODEL)
    if not is_file(directory / RUN):
        raise UsageError(f"{directory} has not been finished, it holds no run.json: {finish}")
    record = read_record(directory / RUN, "run")
    weights = weights_of(run)
    if entry(record, directory / RUN, "weights", str) != weights:
        raise UsageError(f"{directory}: run.json is about another model than is there: {finish}")
    return Opened(config, run, record, weights)


def check_unused(directory: Path) -> None:
    """Refuses a folder that holds anything but what a run leaves that was ended before an epoch.

    Raises:
        UsageError: Such a folder, or something else of that name.
    """
    with refusals("look for", directory):
        try:
            directory.lstat()
        except FileNotFoundError:
            return
        if not directory.is_dir():
            what = "a link that leads nowhere" if directory.is_symlink() else "a file"
            raise UsageError(f"expected a folder or nothing at {directory}, found {what}")
        for path in directory.rglob("*"):
            empty = path.is_dir() or path.suffix == ".part" or not path.stat().st_size
            if not empty and path.name not in _NO_RUN_YET:
                raise UsageError(
                    f"{directory} already exists: pass --resume to go on with that run, "
                    "or --name for another folder"
                )


def write_npy(path: Path, array: Float[np.ndarray, "n d"]) -> None:
    """Writes one array."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(path, buffer.getvalue())
