"""Two processes on one folder, and processes that are really killed while they work."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import numpy as np

import tightbound
from tests.faults.commands import Said, called, files
from tests.faults.core import Attempt, Result
from tests.faults.workplace import FIT, RUN, UNFINISHED, Workplace, workplace

NEW = "new"
Arguments = tuple[object, ...]
FIT_NEW: Arguments = (*FIT, "--name", NEW)
RESUME: Arguments = ("fit", "--resume", "--name", UNFINISHED.name, "--json")
EVALUATE: Arguments = ("evaluate", RUN.name, "--k", 10, "--key", 1, "--json")
AGAIN: Arguments = ("evaluate", RUN.name, "--k", 10, "--overwrite", "--json")
REPORT: Arguments = ("report", RUN.name, "--json")
MORE: Arguments = ("fit", "--resume", "--name", RUN.name, "--json")
PAIRS = {
    "fit, fit": (FIT_NEW, FIT_NEW),
    "fit, resume": (FIT_NEW, (*FIT_NEW, "--resume")),
    "resume, resume": (RESUME, RESUME),
    "evaluate, evaluate": (EVALUATE, EVALUATE),
    "overwrite, evaluate": (AGAIN, EVALUATE),
    "report, report": (REPORT, REPORT),
    "report, resume": (REPORT, MORE),
    "report, overwrite": (REPORT, AGAIN),
    "resume, evaluate": (MORE, AGAIN),
    "report, fit": (("report", f"runs/{NEW}", "--json"), FIT_NEW),
}
"""Commands that want the same folder at the same time."""


def _environment() -> dict[str, str]:
    roots = [str(Path(__file__).parents[2]), str(Path(tightbound.__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "JAX_PLATFORMS": "cpu"}


@contextlib.contextmanager
def _workers(number: int) -> Iterator[list[Connection]]:
    """Processes that are warm after their first command."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        key = os.urandom(16)
        listener = stack.enter_context(Listener(str(Path(folder) / "socket"), authkey=key))
        environment = {**_environment(), "FAULTS_KEY": key.hex()}
        command = [sys.executable, "-m", "tests.faults.worker", str(listener.address)]
        found = []
        for _ in range(number):
            stack.enter_context(subprocess.Popen(command, env=environment))
            found.append(stack.enter_context(listener.accept()))
        yield found
        for connection in found:
            connection.send(None)


@contextlib.contextmanager
def processes() -> Iterator[Attempt]:
    """Has two processes call commands on one folder, one some milliseconds after the other."""
    with workplace() as place, _workers(2) as workers:

        def both(first: Arguments, second: Arguments, pause: float) -> tuple[Said, Said]:
            workers[0].send((place.root, first))
            time.sleep(pause)
            workers[1].send((place.root, second))
            one, two = (Said(*worker.recv()) for worker in workers)
            return one, two

        expected: dict[Arguments, Said] = {}
        for arguments in {*sum(PAIRS.values(), ())}:
            if arguments[-1] == "--resume" or arguments[0] == "report" and NEW in arguments[1]:
                continue
            expected[arguments] = called(*arguments)
            for worker in workers:  # so that it is compiled there too
                place.restore()
                worker.send((place.root, arguments))
                worker.recv()
            place.restore()

        def attempt(number: int, rng: np.random.Generator) -> Result:
            name = list(PAIRS)[number % len(PAIRS)]
            first, second = PAIRS[name]
            if rng.integers(2):
                first, second = second, first
            pause = 0.0 if rng.random() < 0.4 else float(rng.uniform(0, 0.4))
            ended = both(first, second, pause)
            wrong = _wrong((first, second), ended, expected)
            wrong = wrong or _left_wrong(place, (first, second), expected)
            place.restore()
            return Result(name, not wrong, f"pause {pause:.3f}: {ended[0]} | {ended[1]}; {wrong}")

        yield attempt


def _mean(said: Said) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(said.out)["mean"]
    return None


def _wrong(
    asked: tuple[Arguments, ...], ended: tuple[Said, ...], expected: dict[Arguments, Said]
) -> str:
    """What is wrong with how two commands ended; empty if nothing."""
    for arguments, said in zip(asked, ended, strict=True):
        if said.refused:
            continue
        if said.status or said.err or said.fault:
            return "no clear end"
        meant = expected.get(arguments, expected[FIT_NEW])
        if _mean(said) not in (None, _mean(meant)):
            return f"{_mean(said)} for {_mean(meant)}"
    return "" if any(said.status == 0 for said in ended) else "both were refused"


def _left_wrong(
    place: Workplace, asked: tuple[Arguments, ...], expected: dict[Arguments, Said]
) -> str:
    """What is wrong with the folder that they leave; empty if nothing."""
    torn = [name for name in files(place.root) if name.endswith(".part")]
    if torn:
        return f"left {torn}"
    for arguments in asked:
        if arguments not in expected:
            continue
        again = called(*arguments)
        if arguments == FIT_NEW and "--resume" in again.err:  # it is there: the other has fitted
            again = called("report", NEW, "--json")
        if (again.status, _mean(again)) != (0, _mean(expected[arguments])):
            return f"afterwards {again}"
    return ""


@contextlib.contextmanager
def killed() -> Iterator[Attempt]:
    """Kills a process of its own at a random moment (SIGKILL), and calls its command again."""
    commands: list[Arguments] = [FIT_NEW, RESUME, EVALUATE, AGAIN, REPORT]
    with workplace() as place:
        expected = []
        for arguments in commands:
            expected.append(called(*arguments))
            place.restore()

        def attempt(number: int, rng: np.random.Generator) -> Result:
            at = number % len(commands)
            arguments = commands[at]
            command = [sys.executable, "-m", "tightbound", *map(str, arguments)]
            with subprocess.Popen(
                command,
                env=_environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                pause = float(rng.uniform(1.0, 14.0))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(pause)
                process.kill()
            done = process.returncode == 0
            begun = arguments == FIT_NEW and Path("runs", NEW, "config.toml").exists()
            again = called(*arguments, *(["--resume"] if begun else []))
            meant = expected[at]
            well = (again.status, again.out) == (0, meant.out)
            torn = [name for name in files(place.root) if name.endswith(".part")]
            place.restore()
            how = f"{'done' if done else 'killed'} after {pause:.1f} s: {again}, left {torn}"
            return Result(str(arguments[0]), well and not torn, how)

        yield attempt
