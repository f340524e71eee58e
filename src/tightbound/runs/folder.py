"""A run's folder, read back."""

from pathlib import Path
from typing import Any, NamedTuple

from tightbound.config import Config, read_settings
from tightbound.digests.record import entry, read_record
from tightbound.errors import UsageError
from tightbound.files import is_file
from tightbound.locks import SETTINGS
from tightbound.training import Run, load
from tightbound.training.saving import weights_of

MODEL = "model.safetensors"
RUN = "run.json"


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


def item_shape(directory: Path) -> tuple[int, ...]:
    """The shape of one item of a run's data, as `run.json` says.

    Raises:
        UsageError: No such record, or a damaged one.
    """
    path = directory / RUN
    sizes = entry(entry(read_record(path, "run"), path, "data", dict), path, "shape", list)
    if not all(type(size) is int and size > 0 for size in sizes):
        raise UsageError(f"{path} is damaged: expected the sizes of an item, got {sizes}")
    return tuple(sizes)
