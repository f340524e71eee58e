"""Files appear whole or not at all; what the operating system refuses is said in one line."""

import contextlib
import errno
import glob
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tightbound.core.errors import UsageError

LONGEST = 40
"""Characters of a file's name that the name of its half-written copy repeats."""
_ADVICE = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "expected a folder where a file stands; choose another place",
    errno.EEXIST: "expected a folder where a file or a dangling link stands; choose another place",
    errno.EISDIR: "expected a file where a folder stands; choose another name",
    errno.ELOOP: "expected a file or folder, got links in a circle",
    errno.ENOENT: "expected it to exist",
    errno.EFBIG: "the file system holds no file so large; write elsewhere",
    errno.EIO: "look at the disk and try again",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
}


def why(error: OSError) -> str:
    """Why the operating system refused, and what to do."""
    reason = error.strerror or str(error) or type(error).__name__
    advice = _ADVICE.get(error.errno or 0)
    return f"{reason}; {advice}" if advice else reason


@contextlib.contextmanager
def refusals(doing: str, path: Path | str) -> Iterator[None]:
    """Turns an `OSError` into a `UsageError`: what could not be done, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {doing} {path}: {why(error)}") from error


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Writes beside the target, flushes to the disk, and renames into place.

    A process killed at any moment leaves either the old file or the new one.

    Raises:
        UsageError: The operating system refuses; the old file, if any, is as it was.
    """
    path = Path(path)
    with refusals("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # A part of the name, so that the longest name allowed can be written too.
        temporary = path.with_name(f".{path.name[:LONGEST]}.{secrets.token_hex(4)}.part")
        try:
            _write_new(temporary, data.encode() if isinstance(data, str) else data)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):  # which would hide the first fault
                temporary.unlink(missing_ok=True)
            raise


def _write_new(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o666)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Writes all bytes to an open file; the operating system may take them in pieces."""
    rest = memoryview(data)
    while len(rest):
        rest = rest[os.write(handle, rest) :]


def read_bytes(path: Path | str, kind: str) -> bytes:
    """The content of a file.

    Args:
        path: The file.
        kind: What is expected in it, in words with an article, for errors.

    Raises:
        UsageError: There is no such file, or it cannot be read.
    """
    path = Path(path)
    with refusals("read", path):
        if not path.is_file():
            raise UsageError(f"expected {kind} at {path}, found {_instead(path)}")
        return path.read_bytes()


def _instead(path: Path) -> str:
    """What stands where a file is expected, in words."""
    if path.is_dir():
        return "a folder"
    if path.exists():
        return "a pipe or a device"
    return "a dangling link" if path.is_symlink() else "no file"


def is_file(path: Path) -> bool:
    """Whether there is a file, or nothing of that name; all else is an error.

    Raises:
        UsageError: A folder, a pipe or a dangling link in its place, which must not be taken for
            nothing; a name that is too long, or a folder that may not be read.
    """
    with refusals("look for", path):
        if path.is_file():
            return True
        if os.path.lexists(path):
            raise UsageError(f"expected a file or nothing at {path}, found {_instead(path)}")
        path.exists()  # which raises where the operating system refuses
        return False


def remove(path: Path) -> None:
    """Removes a file if it is there.

    Raises:
        UsageError: The operating system refuses.
    """
    with refusals("remove", path):
        path.unlink(missing_ok=True)


def clear_torn(folder: Path, name: str = "") -> None:
    """Removes what writers that were killed have left in a folder; only its lock's holder may.

    Args:
        folder: The folder.
        name: The one file whose writers are meant, where others hold other locks; all if empty.
    """
    with refusals("clean", folder):
        for torn in folder.glob(f".{glob.escape(name[:LONGEST])}.*.part" if name else ".*.part"):
            torn.unlink(missing_ok=True)
