"""A run's folder, read back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.record import entry, read_record
from tightbound.core.errors import UsageError
from tightbound.core.files import is_file
from tightbound.core.locks import SETTINGS
from tightbound.recipes.settings import Config, read_settings
from tightbound.training import Run, load
from tightbound.training.saving import weights_of

MODEL = "model.safetensors"
RUN = "run.json"
EVALUATIONS, EVALUATION = "evaluations", "evaluation"
"""Where evaluations are, and the kind of their records."""


class Judged(NamedTuple):
    """One evaluation as its record holds it."""

    record: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Opened(NamedTuple):
    """A finished run as its folder holds it."""

    directory: Path
    config: Config
    """The settings."""
    run: Run
    record: dict[str, Any]
    """What `run.json` says."""
    weights: str
    """SHA-256 of the parameters of all replicas."""

    @property
    def model(self) -> Any:
        """The fitted model of the first replica."""
        return self.run.model

    @property
    def posterior(self) -> Any:
        """Its posterior."""
        return self.run.posterior

    @property
    def evaluations(self) -> dict[str, Judged]:
        """What this model was evaluated to, by the stems of the records' files.

        `judged.record` has the question and the numbers, `judged.arrays` those of each datum, of
        shape (seeds, n), with the row of each in the source.

        Raises:
            UsageError: A damaged file.
        """
        found = {}
        for path in sorted((self.directory / EVALUATIONS).glob("[!.]*.safetensors")):
            arrays, record = read_arrays(path, EVALUATION)
            if entry(record, path, "question", dict).get("weights") == self.weights:
                found[path.stem] = Judged(record, arrays)
        return found


def open_run(directory: Path | str, *, trust: str | Sequence[str] = ()) -> Opened:
    """Reads a run's folder: settings, fitted replicas and record, which must belong together.

    Args:
        directory: The folder.
        trust: As for `tb.load`, for networks of your own.

    Raises:
        UsageError: No such run, one that has not been finished, or a damaged file.
    """
    directory = Path(directory)
    if not is_file(directory / SETTINGS):
        raise UsageError(f"expected a run folder at {directory}, found no config.toml in it")
    config = Config(**read_settings(directory))
    finish = f"finish it with `tightbound fit --resume --name {directory.name}`"
    if not is_file(directory / MODEL):
        raise UsageError(f"{directory} holds no fitted model yet: {finish}")
    run = load(directory / MODEL, trust=trust)
    if not is_file(directory / RUN):
        raise UsageError(f"{directory} has not been finished, it holds no run.json: {finish}")
    record = read_record(directory / RUN, "run")
    weights = weights_of(run)
    if entry(record, directory / RUN, "weights", str) != weights:
        raise UsageError(f"{directory}: run.json is about another model than is there: {finish}")
    return Opened(directory, config, run, record, weights)


def refuse_draws(opened: Opened, **settings: Any) -> None:
    """Refuses settings about draws from q(z|x), for a run whose model needs none.

    Raises:
        UsageError: One of them was given, which None and an empty tuple do not count as.
    """
    given = [name for name, value in settings.items() if value is not None and value != ()]
    if given and opened.posterior is None:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{opened.directory} has no posterior q(z|x), nothing is drawn from one: log p(x) of "
            f"its model is computed as it is, so leave out {named}"
        )


class ItemsOf(NamedTuple):
    """What one item of a run's data is."""

    shape: tuple[int, ...]
    columns: tuple[str, ...]
    """Names of the columns of a table; none where they have none."""
    levels: Mapping[int, tuple[str, ...]] = MappingProxyType({})
    """Of columns, by place, whose means are numbers of levels: the source's words for them."""


def items_of(directory: Path) -> ItemsOf:
    """What one item of a run's data is, as `run.json` says.

    Raises:
        UsageError: No such record, or a damaged one.
    """
    path = directory / RUN
    about = entry(read_record(path, "run"), path, "data", dict)
    sizes, columns = entry(about, path, "shape", list), entry(about, path, "columns", list)
    if not all(type(size) is int and size > 0 for size in sizes):
        raise UsageError(f"{path} is damaged: expected the sizes of an item, got {sizes}")
    if not all(isinstance(column, str) for column in columns):
        raise UsageError(f"{path} is damaged: expected names of columns, got {columns}")
    return ItemsOf(tuple(sizes), tuple(columns))
