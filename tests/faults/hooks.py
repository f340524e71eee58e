"""Faults at the calls of the operating system: a copy of all files at each, or a refusal."""

import builtins
import contextlib
import errno
import hashlib
import io
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tests.faults.commands import Tree, files

CALLS = ("open", "write", "fsync", "replace", "unlink", "mkdir")
_WRITES = os.O_WRONLY | os.O_RDWR

Before = Callable[[str, Callable[..., Any], tuple[Any, ...]], None]
"""Gets the name of a call that changes files, the real function, and its arguments."""
After = Callable[[], None]


@contextlib.contextmanager
def calls(before: Before, after: After = lambda: None) -> Iterator[None]:
    """Within it, something is done before and after each call that changes files."""

    def wrapped(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not arguments[1] & _WRITES:
                return real(*arguments, **options)
            before(name, real, arguments)
            result = real(*arguments, **options)
            after()
            return result

        return call

    def opened(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if set(mode) & set("wxa+"):
            before("open", builtins.open, (file,))
        return builtins.open(file, mode, *rest, **options)

    with contextlib.ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(mock.patch.object(os, name, wrapped(name)))
        stack.enter_context(mock.patch.object(io, "open", opened))
        yield


@contextlib.contextmanager
def moments(root: Path, found: list[Tree]) -> Iterator[None]:
    """Collects the different states in which a kill at any moment leaves a folder.

    What a process has given to the operating system outlives it, so that the files as they stand
    before, within and after each call are all that a kill can leave.
    """
    seen: set[bytes] = set()
    pool: dict[bytes, bytes] = {}

    def look() -> None:
        tree = {name: pool.setdefault(content, content) for name, content in files(root).items()}
        digest = hashlib.sha256()
        for name in sorted(tree):
            digest.update(f"{name}:{len(tree[name])}:".encode("utf-8", "surrogateescape"))
            digest.update(tree[name])
        if digest.digest() not in seen:
            seen.add(digest.digest())
            found.append(tree)

    def before(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        look()
        if name == "write" and len(arguments[1]) > 1:  # a write may be torn: half of it, for once
            handle, content = arguments
            at = os.fstat(handle).st_size
            real(handle, bytes(content)[: len(content) // 2])
            look()
            os.ftruncate(handle, at)
            os.lseek(handle, at, os.SEEK_SET)

    with calls(before, look):
        yield
    look()


class Refusal:
    """Has the call of a number fail, or counts the calls if that is 0."""

    def __init__(self, at: int, code: int) -> None:
        self.at, self.code, self.count = at, code, 0
        self.named = ""

    def before(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Fails if its time has come."""
        self.count += 1
        if self.count == self.at:
            self.named = f"{name} {arguments[0]!r}"
            raise OSError(self.code, os.strerror(self.code))


CODES = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT)


@contextlib.contextmanager
def limit(kind: int, most: int) -> Iterator[None]:
    """A limit of the operating system itself, such as on the size of files."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)
