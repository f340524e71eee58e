"""Runs contestants side by side: a process each, blocks in turn, round after round."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO, cast

from benchmarks.contestants import Contestant
from benchmarks.sizes import Sizes

_ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Result:
    """What one contestant did; `milliseconds` per step or image has one entry a round.

    `start_seconds` is importing and building, `first_seconds` the first block (one pass over the
    data, or the images), where compilers work; neither is part of `milliseconds`. `value`, in
    nats, is what that first block reports: all start from the same weights. `status` is "timed",
    "not installed: ..." or "failed: ...".
    """

    contestant: Contestant
    status: str = "timed"
    milliseconds: list[float] = field(default_factory=list)
    start_seconds: float | None = None
    first_seconds: float | None = None
    value: float | None = None
    versions: dict[str, str] = field(default_factory=dict)


class _Worker:
    """A contestant's process, waiting for lines."""

    def __init__(self, contestant: Contestant, sizes: Sizes, units: int):
        self.result = Result(contestant)
        self._units = units
        first = units if contestant.task == "likelihood" else sizes.batches
        command = [sys.executable, "-m", "benchmarks.worker", contestant.name, contestant.task]
        self._process = subprocess.Popen(
            [*command, json.dumps(asdict(sizes)), str(first), str(units)],
            cwd=_ROOT,
            env=_environment(sizes.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if ready := self._answer():
            self.result.start_seconds = ready["start_seconds"]
            self.result.first_seconds = ready["first_seconds"]
            self.result.value = ready["value"]
            self.result.versions = ready["versions"]

    def block(self) -> None:
        """Times one block, if the contestant is still in the race."""
        if self.result.status != "timed":
            return
        stdin = cast(TextIO, self._process.stdin)
        with suppress(BrokenPipeError):
            stdin.write(f"{self._units}\n")
            stdin.flush()
        if answer := self._answer():
            self.result.milliseconds.append(1e3 * answer["seconds"] / answer["units"])

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict:
        line = cast(TextIO, self._process.stdout).readline()
        # A process that was killed says nothing.
        answer = json.loads(line) if line else {"status": f"failed: exit {self._process.wait()}"}
        if "status" in answer:
            self.result.status = answer["status"]
            return {}
        return answer


def race(
    contestants: Sequence[Contestant], sizes: Sizes, *, units: int, rounds: int
) -> list[Result]:
    """Times contestants of one task in turn, each round beginning with the next of them.

    All have started, compiled and warmed up before the first is timed, and one works at a time.
    """
    with _workers(contestants, sizes, units) as workers:
        for number in range(rounds):
            shift = number % len(workers)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for worker in workers[shift:] + workers[:shift]:
                worker.block()
        return [worker.result for worker in workers]


@contextmanager
def _workers(
    contestants: Sequence[Contestant], sizes: Sizes, units: int
) -> Iterator[list[_Worker]]:
    workers: list[_Worker] = []
    try:
        for contestant in contestants:
            print(f"starting {contestant.name} ({contestant.task})", file=sys.stderr)
            workers.append(_Worker(contestant, sizes, units))
        yield workers
    finally:
        for worker in workers:
            worker.close()


def _environment(threads: int) -> dict[str, str]:
    """The same number of threads for every library, and no accelerator."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    fixed = dict.fromkeys(counts, str(threads))
    return os.environ | fixed | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
