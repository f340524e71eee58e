"""The bytes of a file, and names of files that are safe to print."""

import os
import stat
from pathlib import Path

from tightbound.core.errors import UsageError


def shown(path: Path | str) -> str:
    """A path or name on one line, without characters that steer a terminal."""
    text = str(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def read_whole(path: Path) -> bytes:
    """All bytes of an ordinary file: never of a pipe or a device, which may not end.

    Raises:
        UsageError: It is something else, cannot be read, or is empty.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
            raise UsageError(f"{shown(path)}: expected a file, got {kind}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{shown(path)}: no such file or folder") from None
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        raise UsageError(f"{shown(path)} cannot be read: {_reason(error)}") from None
    if not content:
        raise UsageError(f"{shown(path)}: expected data, got an empty file")
    return content


def _reason(error: OSError | ValueError) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def first_line(error: Exception) -> str:
    """What another package's error says, on one line of bounded length."""
    return shown((str(error).splitlines() or [type(error).__name__])[0][:160])
