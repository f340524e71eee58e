"""One contestant in a process of its own: reads a task as a line of JSON, answers by another.

It has one processor, and seconds are that processor's: what else the machine does is left out. The
kernel ends it (SIGXCPU) when an answer takes longer than the limit.
Answers go to what was standard output at the start; whatever a library prints, to standard error.
"""

import importlib
import importlib.metadata
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.evidence.worker import failure
from benchmarks.tables.contestants import CONTESTANTS
from benchmarks.tables.data import AbsentError
from benchmarks.tables.questions import QUESTIONS

_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Serves until its input ends; a line says so if the contestant is missing."""
    question, name, limit = QUESTIONS[sys.argv[1]], sys.argv[2], float(sys.argv[3])
    contestant = next(c for c in CONTESTANTS if c.name == name)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    try:
        module = importlib.import_module(f"benchmarks.tables.contestants.{contestant.module}")
    except ModuleNotFoundError as error:
        print(json.dumps({"status": f"not installed: {error.name}"}), file=answers)
        return
    except Exception as error:
        print(json.dumps({"status": failure(error)}), file=answers)
        raise
    versions = {package: _version(package) for package in contestant.packages}
    print(json.dumps({"versions": versions}), file=answers)
    for line in sys.stdin:
        said = _said(question, getattr(module, question.asks), json.loads(line), limit)
        print(json.dumps(said), file=answers)


def _said(question: Any, ask: Any, task: list[Any], limit: float) -> dict[str, Any]:
    """Seconds and peak memory are those of the answer, without posing and judging."""
    try:
        posed = question.pose(*task)
    except AbsentError as error:
        return {"status": f"skipped: {error}"}
    _allow(limit)
    begin, clock = time.process_time(), time.perf_counter()
    try:
        answer = ask(posed.seen, task[-1])
        used = {
            "seconds": time.process_time() - begin,
            "wall_seconds": time.perf_counter() - clock,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        return question.judge(posed, answer) | used
    except Exception as error:
        return {"status": failure(error)}


def _allow(seconds: float) -> None:
    """So many more of the processor's seconds, from now on."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))


def _version(package: str) -> str:
    """As installed; of a source tree under git the commit, for that is what is compared."""
    if package == "tightbound" and (commit := _commit()):
        return commit
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        said = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


if __name__ == "__main__":
    main()
