"""One contestant in a process of its own: reads "PROBLEM SEED", and answers a line of JSON.

After an answer comes a second line with counts, from a contestant that has to run again for them.
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
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from benchmarks.evidence.contestants import CONTESTANTS
from benchmarks.evidence.problems import PROBLEMS

COUNTING = 5.0
"""How much longer than an answer its counts may take."""


def main() -> None:
    """Serves until its input ends; a line says so if the contestant is missing."""
    name, limit = sys.argv[1], float(sys.argv[2])
    contestant = next(c for c in CONTESTANTS if c.name == name)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    try:
        module = importlib.import_module(f"benchmarks.evidence.contestants.{contestant.module}")
    except ModuleNotFoundError as error:
        print(json.dumps({"status": f"not installed: {error.name}"}), file=answers)
        return
    except Exception as error:
        print(json.dumps({"status": failure(error)}), file=answers)
        raise
    versions = {package: _version(package) for package in contestant.packages}
    print(json.dumps({"versions": versions}), file=answers)
    for line in sys.stdin:
        problem, seed = line.split()
        for said in _said(module, problem, int(seed), limit):
            print(json.dumps(said), file=answers)


def failure(error: Exception) -> str:
    """What went wrong, in a line."""
    text = str(error).splitlines() or [""]
    return f"failed: {type(error).__name__}: {text[0]}"


def _said(module: ModuleType, name: str, seed: int, limit: float) -> Iterator[dict[str, Any]]:
    problem, begin = PROBLEMS[name], time.process_time()
    _allow(limit)
    try:
        answer = module.answer(problem, seed)
    except Exception as error:
        yield {"status": failure(error)}
        return
    again = answer.evaluations is None
    yield answer._asdict() | {"seconds": time.process_time() - begin, "again": again}
    if not again:
        return
    _allow(COUNTING * limit)
    try:
        evaluations, gradients = module.counted(problem, seed)
    except Exception as error:
        print(f"{name} was not counted: {failure(error)}", file=sys.stderr)
        yield {"evaluations": None, "gradients": None}
    else:
        yield {"evaluations": evaluations, "gradients": gradients}


def _allow(seconds: float) -> None:
    """So many more of the processor's seconds, from now on."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


if __name__ == "__main__":
    main()
