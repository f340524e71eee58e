"""Asks contestants for answers, each in a process of its own, for a limited time."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.evidence.contestants import Contestant
from benchmarks.evidence.problem import Problem

_ROOT = Path(__file__).resolve().parent.parent.parent
WAITING = 60.0
"""How many times the limit to wait for a processor that others use, or a process that sleeps."""
START = 1200.0
"""Seconds to wait for a process to import what it needs: part of no answer's time."""
ANSWERED = "answered"
NUMBERS = ("log_z", "error", "evaluations", "gradients", "seconds")


class Worker:
    """A contestant's process, started when first asked, and again after it was stopped."""

    def __init__(self, contestant: Contestant, limit: float) -> None:
        """Starts nothing yet; an answer may take `limit` seconds of a processor."""
        self._name, self._limit = contestant.name, limit
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._broken: dict[str, Any] = {}
        self.versions: dict[str, str] = {}

    def ask(self, problem: str, seed: int) -> dict[str, Any]:
        """What it says of a problem, with a "status"; one that cannot start is asked no more."""
        if self._broken:
            return self._broken
        if self._process is None:
            ready = self._start()
            if "status" in ready:
                self.close()
                self._broken = ready
                return ready
            self.versions = ready["versions"]
        process = cast("subprocess.Popen[str]", self._process)
        with contextlib.suppress(BrokenPipeError):
            stdin = cast(Any, process.stdin)
            stdin.write(f"{problem} {seed}\n")
            stdin.flush()
        said = self._line(WAITING * self._limit)
        if "status" in said:
            return said
        if said.pop("again"):
            counts = self._line(WAITING * self._limit)
            said |= {name: counts.get(name) for name in ("evaluations", "gradients")}
        return {"status": ANSWERED, "gradients": 0} | said

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> dict[str, Any]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.evidence.worker", self._name, str(self._limit)],
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
        return self._line(START)

    def _line(self, wait: float) -> dict[str, Any]:
        """The next line, or the status of a process that was stopped, or died."""
        late = {"status": f"no answer in {self._limit:g} s"}
        try:
            line = self._lines.get(timeout=wait)
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


def race(
    contestants: Sequence[Contestant],
    problems: Sequence[Problem],
    seeds: Sequence[int],
    limit: float,
) -> Iterator[dict[str, Any]]:
    """A row for each contestant, problem and seed, as soon as it is known."""
    for contestant in contestants:
        worker = Worker(contestant, limit)
        try:
            for problem in problems:
                for seed in seeds:
                    said = worker.ask(problem.name, seed)
                    yield _row(contestant, problem, seed, worker.versions, said)
        finally:
            worker.close()


def _row(
    contestant: Contestant,
    problem: Problem,
    seed: int,
    versions: dict[str, str],
    said: dict[str, Any],
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(NUMBERS)
    row |= {"verdict": ""} | said
    off = None if row["log_z"] is None else row["log_z"] - problem.log_z
    return {
        "problem": problem.name,
        "dim": problem.dim,
        "exact": problem.log_z,
        "known": problem.known,
        "smooth": problem.smooth,
        "held": problem.held,
        "contestant": contestant.name,
        "versions": versions,
        "seed": seed,
        "off": off,
    } | row


def _read(stream: Any, lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _environment() -> dict[str, str]:
    """One thread for every library, and no accelerator."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    return os.environ | dict.fromkeys(counts, "1") | {"JAX_PLATFORMS": "cpu"}
