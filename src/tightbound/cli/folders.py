"""Where runs lie, and where files may be written: looked at before any work is done."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tightbound.core.calls import shortened
from tightbound.core.errors import UsageError, unknown

RUNS = Path("runs")
LONGEST = 200
"""Bytes of a run's name: file systems allow 255, and files beside it add to theirs."""


def find_run(text: str) -> Path:
    """The folder of a run that exists: a path, or the name of one under runs/.

    Raises:
        UsageError: Neither is there; names of runs that are near are said.
    """
    for place in (Path(text), RUNS / text):
        if _is(Path.is_dir, place):
            return place
    if _is(Path.is_file, Path(text)):
        raise UsageError(f"expected a run folder, got the file {text}")
    runs = [place.name for place in _folders(RUNS) if (place / "config.toml").is_file()]
    if not runs:
        raise UsageError(
            f"expected a run folder, found neither {shortened(text, quoted=False)} nor any run "
            "under runs/: `tightbound fit` makes one"
        )
    raise unknown("run", shortened(text, quoted=False), runs)


def new_run(name: str) -> Path:
    """The folder under runs/ of that name.

    Raises:
        UsageError: No name of a folder, or one that is too long; `runs` that is no folder.
    """
    if not name or name in (".", "..") or "/" in name or os.sep in name or "\0" in name:
        raise UsageError(
            f"expected --name as the name of one folder under runs/, got {shortened(name)}"
        )
    if len(os.fsencode(name)) > LONGEST:
        raise UsageError(
            f"expected --name of at most {LONGEST} bytes, got {len(os.fsencode(name))}"
        )
    if os.path.lexists(RUNS) and not RUNS.is_dir():
        raise UsageError("a file named runs stands where the folder of runs is: move it away")
    return RUNS / name


def out_file(
    given: str | None, default: Path, formats: Iterable[str], *, option: str = "--out"
) -> Path:
    """The file that an option names, if it can be written, in a format that its suffix says.

    Raises:
        UsageError: Another suffix, a folder that is not there, or a folder in its place.
    """
    path = default if given is None else Path(given)
    known = tuple(formats)
    if path.suffix.lower() not in known:
        got = path.suffix or "none"
        raise UsageError(f"expected {option} with a suffix out of {', '.join(known)}, got {got}")
    if not _is(Path.is_dir, path.parent):
        raise UsageError(f"there is no folder {shortened(str(path.parent))} for {option}: make it")
    if len(os.fsencode(path.name)) > LONGEST:
        raise UsageError(f"expected a name of at most {LONGEST} bytes for {option}")
    if path.is_dir():
        raise UsageError(f"expected {option} as a file, got the folder {path}")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"no permission to write into {path.parent}, the folder of {option}")
    return path


def _is(kind: Callable[[Path], bool], place: Path) -> bool:
    """As `Path.is_dir` or `is_file`, and False for names that no file can have."""
    try:
        return kind(place)
    except OSError:
        return False


def _folders(place: Path) -> list[Path]:
    return (
        sorted(entry for entry in place.iterdir() if entry.is_dir())
        if _is(Path.is_dir, place)
        else []
    )
