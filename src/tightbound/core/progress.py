"""Progress of long work on standard error: what is done, the latest number, time left."""

import sys
from types import TracebackType


class Progress:
    """A progress bar; silent where standard error is no terminal, unless asked for."""

    def __init__(self, label: str, total: int, *, done: int = 0, shown: bool | None = None) -> None:
        """Prepares a bar of `total` steps of which `done` lie behind."""
        self._shown = sys.stderr.isatty() if shown is None else shown
        if not self._shown:
            return
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[note]}"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(label, total=total, completed=done, note="")

    def __enter__(self) -> "Progress":
        """Shows the bar."""
        if self._shown:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the bar as it stands."""
        if self._shown:
            self._bar.stop()

    def advance(self, note: str = "") -> None:
        """One more step is done; `note` is the latest number."""
        if self._shown:
            self._bar.update(self._task, advance=1, note=note)
