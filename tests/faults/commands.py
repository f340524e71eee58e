"""The real command line in this process: what it says, and what it leaves of a folder."""

import contextlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tightbound.cli import main

_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
LONGEST_LINE = 700
Tree = dict[str, bytes]
"""All files below a folder by path, with their content; of links, where they lead."""


class Said(NamedTuple):
    """How a command ended, and what it printed; `fault` is an exception that escaped it."""

    status: int
    out: str
    err: str
    fault: str = ""

    @property
    def refused(self) -> bool:
        """Whether it ended in status 2 and exactly one clear line."""
        line = self.err.removesuffix("\n")
        clear = line.startswith("tightbound: ") and line.isprintable() and len(line) < LONGEST_LINE
        return (self.status, self.out, self.fault) == (2, "", "") and clear

    def __str__(self) -> str:
        return f"status {self.status}: {self.fault or self.err[:500] or self.out[:200]}"


def called(*arguments: object) -> Said:
    """Runs `tightbound ARGUMENTS`; its streams are as strict as those of a terminal."""
    out, err = _stream("strict"), _stream("backslashreplace")
    status, fault, argv = 0, "", sys.argv
    sys.argv = ["tightbound", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _warnings():
            main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except (Exception, KeyboardInterrupt) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    finally:
        sys.argv = argv
    return Said(status, _text(out), _text(err), fault)


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """Those that a user sees are printed, each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for kind in _QUIET:
            warnings.simplefilter("ignore", kind)
        yield


def _stream(errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8", "replace")  # pyright: ignore


def files(root: Path) -> Tree:
    """What lies below a folder."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*names, *folders]:
            path = Path(folder) / name
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = b"link to " + os.fsencode(os.readlink(path))
            elif path.is_file():
                found[key] = path.read_bytes()
            else:
                found[f"{key}/"] = b""
    return found


def changed(before: Tree, after: Tree) -> list[str]:
    """The paths that are not as they were."""
    return sorted(key for key in before | after if before.get(key) != after.get(key))
