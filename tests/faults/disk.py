"""A disk that is full, broken or read-only: refused in one line, and nothing of before is lost."""

import contextlib
import os
import resource
from collections.abc import Iterator
from unittest import mock

import numpy as np

from tests.faults.commands import Said, Tree, changed, files
from tests.faults.core import Attempt, Result
from tests.faults.hooks import CODES, Refusal, calls, limit
from tests.faults.kills import wrong_after
from tests.faults.operations import OPERATIONS, Operation, published
from tests.faults.workplace import workplace


@contextlib.contextmanager
def disk() -> Iterator[Attempt]:
    """Has one call of the operating system fail, each in turn, or limits files for good."""
    with (
        workplace() as place,
        published(),
        mock.patch("tightbound.evidence.resume.SECONDS", 0.0),
    ):
        expected: dict[str, tuple[Said, Tree]] = {}
        points: list[tuple[Operation, int]] = []
        for operation in OPERATIONS:
            counted = Refusal(0, 0)
            with calls(counted.before):
                said = operation.act()
            assert said.status == 0, said
            expected[operation.name] = said, files(place.root)
            points += [(operation, at + 1) for at in range(counted.count)]
            place.restore()

        def attempt(number: int, rng: np.random.Generator) -> Result:
            if number < len(points):
                operation, at = points[number]
                refusal = Refusal(at, int(rng.choice(CODES)))
                with calls(refusal.before):
                    said = operation.act()
                how = f"{os.strerror(refusal.code)} at call {at}, {refusal.named}"
            else:
                operation = OPERATIONS[int(rng.integers(len(OPERATIONS)))]
                how, said = _limited(operation, rng)
            after = files(place.root)
            wrong = _wrong(operation, said, place.whole, after, expected[operation.name][0])
            if not wrong:
                again = operation.act()
                meant, tree = expected[operation.name]
                wrong = wrong_after(place.whole, files(place.root), again, meant, tree, operation)
            place.restore()
            return Result(operation.name, not wrong, f"{how}: {said}; {wrong}")

        yield attempt


def _limited(operation: Operation, rng: np.random.Generator) -> tuple[str, Said]:
    """Acts under a limit of the operating system itself."""
    if rng.random() < 0.7:
        most = int(2 ** rng.uniform(0, 20))
        with limit(resource.RLIMIT_FSIZE, most):
            return f"no file beyond {most} bytes", operation.act()
    most = len(os.listdir("/proc/self/fd")) + int(rng.integers(0, 5))
    with limit(resource.RLIMIT_NOFILE, most):
        return f"no more than {most} open files", operation.act()


def _wrong(operation: Operation, said: Said, whole: Tree, after: Tree, meant: Said) -> str:
    """What is wrong with how a command ended that could not write; empty if nothing."""
    if said.status == 0:
        # As where it is a lock's folder that cannot be made, which is there already.
        return "" if (said.out, said.err) == (meant.out, "") else "another result"
    if not said.refused:
        return "no clear line"
    torn = [name for name in after if name.endswith(".part")]
    lost = [name for name in whole if name not in after and not name.endswith(".npz")]
    if operation.name in ("fit", "resume", "more"):  # whose finished epochs are kept
        return f"torn {torn}, lost {lost}" if torn or lost else ""
    written = [name for name in changed(whole, after) if not _allowed(name)]
    return f"torn {torn}, lost {lost}, written {written}" if torn or lost or written else ""


def _allowed(name: str) -> bool:
    """Empty files of locks, a report's own files, and an evaluation that was done before it."""
    allowed = (".lock", ".report.lock", "report.html", "figures/", ".png")
    return name.endswith(allowed) or "evaluations/" in name or name.startswith("cache")
