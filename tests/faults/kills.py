"""Kills at any moment: the same command afterwards ends as if there had been none."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.faults.commands import Said, Tree, called, changed, files
from tests.faults.core import Attempt, Result
from tests.faults.hooks import moments
from tests.faults.operations import OPERATIONS, Operation, published
from tests.faults.workplace import put, workplace

READERS = (
    *[("report",)] * 3,
    *[("evaluate", "--k", 10, "--json")] * 3,
    ("sample", "--n", 3),  # which compiles each time
)
MOST_KILLS = 4


@contextlib.contextmanager
def kills() -> Iterator[Attempt]:
    """Puts a folder as a kill left it, reads it, and calls the command again.

    The first tries are every moment of every command; further ones kill at random, several times
    in a row.
    """
    with (
        workplace() as place,
        published(),
        mock.patch("tightbound.evidence.resume.SECONDS", 0.0),
    ):
        expected = {}
        states: list[tuple[Operation, Tree]] = []
        for operation in OPERATIONS:
            found: list[Tree] = []
            with moments(place.root, found):
                said = operation.act()
            assert said.status == 0, said
            expected[operation.name] = said, files(place.root)
            states += [(operation, tree) for tree in found]
            place.restore()
        old = _means(called("report", "r", "--json"))
        place.restore()

        def attempt(number: int, rng: np.random.Generator) -> Result:
            at = number if number < len(states) else int(rng.integers(len(states)))
            operation, tree = states[at]
            put(place.root, tree)
            if number >= len(states):
                for _ in range(int(rng.integers(1, MOST_KILLS))):
                    found: list[Tree] = []
                    with moments(place.root, found):
                        operation.act()
                    put(place.root, found[int(rng.integers(len(found)))])
            said, tree = expected[operation.name]
            wrong = _reads_wrong(operation, rng, old | _means(said))
            again = operation.act()
            wrong = wrong or wrong_after(
                place.whole, files(place.root), again, said, tree, operation
            )
            place.restore()
            return Result(operation.name, not wrong, f"moment {at}: {wrong}")

        yield attempt


def _means(said: Said) -> set[float]:
    """The headline number of a line of JSON."""
    with contextlib.suppress(ValueError):
        return {json.loads(said.out)["mean"]}
    return set()


def _reads_wrong(operation: Operation, rng: np.random.Generator, means: set[Any]) -> str:
    """What is wrong with how a command reads a folder that a kill has left; empty if nothing."""
    if operation.place.parent.name != "runs" or not operation.place.exists():
        return ""
    command, *rest = READERS[int(rng.integers(len(READERS)))]
    said = called(command, operation.place, *rest)
    if said.refused:
        return ""
    if said.status or said.err or said.fault:
        return f"{command}: {said}"
    strange = _means(said) - means - {None}
    return f"{command}: {strange} for {means}" if strange else ""


def wrong_after(
    whole: Tree, found: Tree, again: Said, said: Said, tree: Tree, operation: Operation
) -> str:
    """What differs from a command that was not killed; empty if nothing."""
    if (again.status, again.out, again.err, again.fault) != (0, said.out, "", ""):
        if "has the answer already" not in again.out:
            return f"{again}, expected {said}"
    mine = str(operation.place)
    inside = [name for name in changed(tree, found) if name.startswith(mine)]
    lost = [name for name in inside if name not in found]
    left = [name for name in inside if name not in tree and not _kept(name)]
    outside = [name for name in changed(whole, found) if not name.startswith(mine)]
    outside = [name for name in outside if not name.rstrip("/") == str(Path(mine).parent)]
    return f"lost {lost}, left {left}, outside {outside}" if lost or left or outside else ""


def _kept(name: str) -> bool:
    """What a reading command may have made beside, and a killed download's half-written file.

    That one stays: nobody holds a lock on the cache, and another process may be writing it.
    """
    if name.startswith("cache/") and name.endswith(".part"):
        return True
    return Path(name).name in ("samples.npy", ".report.lock", "report.html") or (
        "evaluations/" in name or "figures" in name
    )
