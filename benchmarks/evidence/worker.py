"""One contestant in a process of its own: reads "PROBLEM SEED", and answers a line of JSON.

After an answer comes a second line with counts, from a contestant that has to run again for them.
Seconds are its processor's: what else the machine does is left out. An answer that takes longer
than the limit is the end of the process.
"""

import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from benchmarks.evidence.contestants import CONTESTANTS
from benchmarks.evidence.problems import PROBLEMS
from benchmarks.serving import allow, failure, say, started

COUNTING = 5.0
"""How much longer than an answer its counts may take."""


def main() -> None:
    """Serves until its input ends; a line says so if the contestant is missing."""
    name, limit = sys.argv[1], float(sys.argv[2])
    contestant = next(c for c in CONTESTANTS if c.name == name)
    module, answers = started(
        f"benchmarks.evidence.contestants.{contestant.module}", contestant.packages
    )
    if module is None:
        return
    for line in sys.stdin:
        problem, seed = line.split()
        for said in _said(module, problem, int(seed), limit):
            say(said, answers)


def _said(module: ModuleType, name: str, seed: int, limit: float) -> Iterator[dict[str, Any]]:
    problem, begin = PROBLEMS[name], time.process_time()
    allow(limit)
    try:
        answer = module.answer(problem, seed)
    except Exception as error:
        yield {"status": failure(error)}
        return
    again = answer.evaluations is None
    yield answer._asdict() | {"seconds": time.process_time() - begin, "again": again}
    if not again:
        return
    allow(COUNTING * limit)
    try:
        evaluations, gradients = module.counted(problem, seed)
    except Exception as error:
        print(f"{name} was not counted: {failure(error)}", file=sys.stderr)
        yield {"evaluations": None, "gradients": None}
    else:
        yield {"evaluations": evaluations, "gradients": gradients}


if __name__ == "__main__":
    main()
