"""One contestant in a process of its own: reads a task as a line of JSON, answers by another.

Seconds are its processor's: what else the machine does is left out. An answer that takes longer
than the limit is the end of the process.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.serving import allow, failure, installed, say, started
from benchmarks.tables.contestants import CONTESTANTS
from benchmarks.tables.data import AbsentError
from benchmarks.tables.question import Question
from benchmarks.tables.questions import QUESTIONS

_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Serves until its input ends; a line says so if the contestant is missing."""
    question, name, limit = QUESTIONS[sys.argv[1]], sys.argv[2], float(sys.argv[3])
    contestant = next(c for c in CONTESTANTS if c.name == name)
    module, answers = started(
        f"benchmarks.tables.contestants.{contestant.module}", contestant.packages, _version
    )
    if module is None:
        return
    for line in sys.stdin:
        say(_said(question, getattr(module, question.asks), json.loads(line), limit), answers)


def _said(
    question: Question, ask: Callable[[Any, int], Any], task: list[Any], limit: float
) -> dict[str, Any]:
    """Seconds and peak memory are those of the answer, without posing and judging."""
    try:
        posed = question.pose(*task)
    except AbsentError as error:
        return {"status": f"skipped: {error}"}
    allow(limit)
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


def _version(package: str) -> str:
    """As installed; of this source tree under git the commit, for that is what is compared."""
    if package == "tightbound" and (commit := _commit()):
        return commit
    return installed(package)


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        said = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


if __name__ == "__main__":
    main()
