"""One contestant in a process of its own: warms up, then times a block for each line it reads.

Input: a line with the number of steps or images. Output: one line of JSON each, on what was
standard output at the start; whatever a library prints goes to standard error. The first block,
of a number of its own, is where compilers work and where all start from the same weights.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Iterator

from benchmarks.contestants import CONTESTANTS, Block, Contestant, Done
from benchmarks.sizes import Sizes


def main() -> None:
    """Serves until its input ends; one line says so if the contestant is missing or fails."""
    name, task, sizes_json, first_units, units = sys.argv[1:]
    contestant = next(c for c in CONTESTANTS if (c.name, c.task) == (name, task))
    sizes = Sizes(**json.loads(sizes_json))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    _pin(sizes.threads)
    try:
        for answer in _answers(contestant, sizes, int(first_units), int(units)):
            print(json.dumps(answer), file=answers)
    except ModuleNotFoundError as error:
        print(json.dumps({"status": f"not installed: {error.name}"}), file=answers)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        print(json.dumps({"status": f"failed: {reason}"}), file=answers)
        raise


def _answers(contestant: Contestant, sizes: Sizes, first_units: int, units: int) -> Iterator[dict]:
    begin = time.perf_counter()
    module = importlib.import_module(f"benchmarks.contestants.{contestant.module}")
    block = getattr(module, contestant.task)(sizes, contestant.variant)
    start_seconds = time.perf_counter() - begin

    first_seconds, first = _timed(block, first_units)
    # Some compile again for another number of steps, or for the types that an update returned.
    _timed(block, units)
    yield {
        "start_seconds": start_seconds,
        "first_seconds": first_seconds,
        "value": first.value,
        "versions": _versions(contestant),
    }
    for line in sys.stdin:
        wall, done = _timed(block, int(line))
        seconds = wall if done.seconds is None else done.seconds
        yield {"seconds": seconds, "units": done.units}


def _pin(threads: int) -> None:
    """Holds every thread on the first CPUs: the one way that all libraries obey."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _timed(block: Block, units: int) -> tuple[float, Done]:
    begin = time.perf_counter()
    done = block(units)
    return time.perf_counter() - begin, done


def _versions(contestant: Contestant) -> dict[str, str]:
    versions = {}
    for package in contestant.packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "source tree"
    return versions


if __name__ == "__main__":
    main()
