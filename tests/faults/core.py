"""What all classes of faults share: one try, its outcome, and the count of them."""

import resource
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np

LONGEST = 60
"""Seconds that one try may take; most take milliseconds."""
MOST_MEMORY = 700
"""Megabytes by which one try may raise the largest size of the process."""
SHOWN = 20
"""Failures of a class that are kept with their words; all are counted."""


class Result(NamedTuple):
    """What became of one try: its kind within the class, whether it ended well, and how."""

    kind: str
    survived: bool
    how: str


Attempt = Callable[[int, np.random.Generator], Result]
"""Makes the try of a number; the generator's seed is that of the suite, and the number."""
Class = Callable[[], AbstractContextManager[Attempt]]
"""Prepares what a class needs, such as a fitted run, and takes it away at the end."""


class Failure(NamedTuple):
    """A try that was lost: `--only CLASS --seed SEED --number NUMBER` makes it again."""

    seed: int
    number: int
    kind: str
    how: str


class Tally:
    """The tries of a class, counted."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.seed = seed
        self.tried: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def count(self, number: int, result: Result) -> None:
        """Adds one try."""
        self.tried[result.kind] += 1
        if not result.survived:
            self.lost[result.kind] += 1
            if len(self.failures) < SHOWN:
                failure = Failure(self.seed, number, result.kind, result.how[:600])
                self.failures.append(failure)

    def as_json(self) -> dict[str, Any]:
        """The counts, by kind too, and what was lost."""
        return {
            "class": self.name,
            "tried": self.tried.total(),
            "survived": self.tried.total() - self.lost.total(),
            "kinds": {
                kind: {"tried": n, "survived": n - self.lost[kind]}
                for kind, n in sorted(self.tried.items())
            },
            "failures": [failure._asdict() for failure in self.failures],
        }


class Hang(BaseException):
    """A try took longer than any of its kind may."""


def tally(name: str, faults: Class, numbers: Iterable[int], seed: int) -> Tally:
    """Makes the tries of these numbers."""
    found = Tally(name, seed)
    with faults() as attempt:
        for number in numbers:
            found.count(number, _one(attempt, number, seed))
    return found


def _one(attempt: Attempt, number: int, seed: int) -> Result:
    """One try, in bounded time and memory; whatever it raises is a failure."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with _alarm(LONGEST):
            result = attempt(number, np.random.default_rng([seed, number]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what is counted here
        where = traceback.extract_tb(error.__traceback__)[-1]
        how = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        return Result("raised", survived=False, how=how)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > MOST_MEMORY:
        return Result(result.kind, survived=False, how=f"took {grown:.0f} MB: {result.how}")
    return result


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise Hang(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def table(tallies: Iterable[Tally]) -> str:
    """The counts as a table of Markdown."""
    rows = [(t.name, t.tried.total(), t.tried.total() - t.lost.total()) for t in tallies]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    lines = ["| class | tried | survived |", "|---|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {n:,} | {well:,} |" for name, n, well in rows)])
