"""A run's folder: whether a run may begin there, and one process at a time that changes it."""

from pathlib import Path
from types import TracebackType

import filelock

from tightbound.core.errors import UsageError
from tightbound.core.files import refusals, write_atomic

LOCK = ".lock"
SETTINGS = "config.toml"
_WITHIN = ("checkpoints", "evaluations", "figures")
"""Folders that a run writes into, and removes from what was left half-written."""
_NO_RUN_YET = (LOCK, SETTINGS)


class Folder:
    """A folder that no other process changes while this one holds its lock.

    The operating system lets go of the lock when the process ends, however it ends; the file that
    it is on stays, since a file that comes and goes would be two locks.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        settings: str | None = None,
        lock: str = LOCK,
        patience: float = 0.0,
    ) -> None:
        """Names the folder; nothing is touched before `hold`.

        Args:
            path: The folder.
            settings: Text of its `config.toml`, written when `accept` is called.
            lock: The lock's file; those who never write the same files may have other locks.
            patience: Seconds to wait for whoever holds it.
        """
        self.path = Path(path)
        self._settings = settings
        self._patience = patience
        self._name = lock
        self._lock = filelock.FileLock(self.path / lock, thread_local=False)

    def hold(self) -> None:
        """Takes the lock, and makes the folder if there is none.

        Raises:
            UsageError: Another process holds it, a part of it is a link to elsewhere, or the
                operating system refuses.
        """
        if self._lock.is_locked:
            return
        with refusals("use the folder", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in (*_WITHIN, self._name):
                if (self.path / name).is_symlink():
                    raise UsageError(
                        f"{self.path / name} is a link: what a run writes stays in its own folder; "
                        "put the folder or file itself there"
                    )
            try:
                self._lock.acquire(timeout=self._patience)
            except filelock.Timeout:
                raise UsageError(
                    f"{self.path} is in use by another process of tightbound: wait until that has "
                    "ended, or choose another name"
                ) from None

    def accept(self) -> None:
        """Writes the settings: the run in the folder is theirs from here on."""
        if self._settings is not None:
            write_atomic(self.path / SETTINGS, self._settings)

    def release(self) -> None:
        """Lets go of the lock."""
        self._lock.release()

    def __enter__(self) -> "Folder":
        """Gives the folder, which need not be held yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets go of the lock."""
        self.release()


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
