"""A program in a process of its own that answers lines of text by lines of JSON."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

_ROOT = Path(__file__).resolve().parent.parent
WAITING = 60.0
"""How many times the limit to wait for a processor that others use, or a process that sleeps."""
START = 1200.0
"""Seconds to wait for a process to import what it needs: part of no answer's time."""
LATE = "no answer in"


class Served:
    """A module's process, started when first asked, and again after it was stopped."""

    def __init__(self, module: str, arguments: Sequence[str], limit: float) -> None:
        """Starts nothing yet; an answer may take `limit` seconds of a processor."""
        self._command = [sys.executable, "-m", module, *arguments, str(limit)]
        self._limit = limit
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._broken: dict[str, Any] = {}
        self.versions: dict[str, str] = {}

    def ask(self, words: str) -> dict[str, Any]:
        """What it says, or a "status"; one that cannot start is asked no more."""
        if not self.ready():
            return self._broken
        with contextlib.suppress(BrokenPipeError):
            stdin = cast(Any, self._process).stdin
            stdin.write(f"{words}\n")
            stdin.flush()
        return self.line()

    def ready(self) -> bool:
        """Whether its process is there, and has said its versions; starts it where it is not."""
        if self._process is None and not self._broken:
            self._start()
            said = self.line(START)
            if "status" in said:
                self.close()
                self._broken = said
            else:
                self.versions = said["versions"]
        return not self._broken

    def line(self, wait: float | None = None) -> dict[str, Any]:
        """Its next line, or the status of a process that was stopped, or died."""
        late = {"status": f"{LATE} {self._limit:g} s"}
        try:
            line = self._lines.get(timeout=WAITING * self._limit if wait is None else wait)
        except queue.Empty:
            self.close()
            return late
        if line is not None:
            return json.loads(line)
        code = cast("subprocess.Popen[str]", self._process).wait()
        self.close()
        if code == -signal.SIGXCPU:
            return late
        return {"status": f"failed: its process ended with {code}"}

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines = queue.Queue()
        threading.Thread(
            target=_read, args=(self._process.stdout, self._lines), daemon=True
        ).start()


def _read(stream: Any, lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _environment() -> dict[str, str]:
    """One thread for every library, and no accelerator."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    return os.environ | dict.fromkeys(counts, "1") | {"JAX_PLATFORMS": "cpu"}
