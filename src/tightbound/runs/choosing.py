"""A table's fit without settings: candidates compared on held-out rows, into a run's folder."""

import time
from pathlib import Path
from typing import Any

from tightbound import data
from tightbound.core.errors import Interrupted, UsageError
from tightbound.core.files import clear_torn, is_file
from tightbound.core.locks import Folder, check_unused
from tightbound.objectives.registry import parse
from tightbound.recipes.candidates import candidates
from tightbound.recipes.settings import OF_NO_MODEL, Config, read_settings
from tightbound.recipes.tables import fit_table
from tightbound.runs.folder import RUN, open_run
from tightbound.runs.source import load, load_source
from tightbound.runs.writing import write_records
from tightbound.training import Run
from tightbound.training.history import METRICS, MetricsFile


def choose_run(config: Config, directory: Path, *, resume: bool) -> Run:
    """Fits a table by `tb.fit_table` into `directory`, and writes all records but the evaluations.

    Nothing is written before a model is chosen. `resume` gives a finished run back, and begins
    anew one that was ended while its files were written.

    Raises:
        UsageError: Wrong settings or data, a folder that holds another run or is in use, or a disk
            that cannot be written to; what was there is as it was.
        Interrupted: Ctrl-C.
    """
    if resume and (run := _finished(config, directory)) is not None:
        return run
    if not resume:
        check_unused(directory)
    ds = load(config)
    assert config.candidates is not None
    began = time.perf_counter()
    try:
        found = fit_table(ds, candidates=candidates(config.candidates), key=config.key)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; nothing was written, and the same command begins again"
        ) from None
    with Folder(directory, settings=config.to_toml()) as folder:
        try:
            _write(folder, found, ds, config, began, resume=resume)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; {directory} is not whole: `tightbound fit --resume --name "
                f"{directory.name}` begins it anew"
            ) from None
    return found.run


def _finished(config: Config, directory: Path) -> Run | None:
    """The run that a folder holds, which must be that of the settings; None if it has no end.

    Raises:
        UsageError: Other settings, other data, or a damaged file.
    """
    held, now = read_settings(directory), vars(config)
    for name in OF_NO_MODEL:
        # Evaluations come after the fit, and may be other ones.
        if name != "evaluate_k" and held.get(name, getattr(Config, name)) != now[name]:
            raise UsageError(
                f"{directory} was fitted with {name} = {held.get(name)!r}, got {now[name]!r}: "
                "leave out --resume, and take another --name"
            )
    if not is_file(directory / RUN):
        return None
    opened = open_run(directory)
    load_source(directory, opened)
    return opened.run


def _write(
    folder: Folder, found: Any, ds: data.Dataset, config: Config, began: float, *, resume: bool
) -> None:
    """The run's files, of which the settings come first and `run.json` last."""
    directory = folder.path
    if not resume:
        check_unused(directory)
    folder.hold()
    folder.accept()
    clear_torn(directory)
    metrics = MetricsFile(directory / METRICS)
    try:
        for record in found.run.history:
            metrics.append(record)
        metrics.sync()
    finally:
        metrics.close()
    write_records(
        directory,
        found.run,
        ds,
        config,
        began,
        bound=_bound(found.run),
        choice=found.choice.to_entries(),
    )


def _bound(run: Run) -> dict[str, Any]:
    """What the numbers of the epochs are."""
    if run.posterior is None:
        return {"kind": "exact", "unit": "nats"}
    objective = parse(run.objective)
    return {"kind": objective.kind, "k": objective.draws, "unit": "nats"}
