"""Asks contestants for answers, each in a process of its own, for a limited time."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.evidence.contestants import Contestant
from benchmarks.evidence.problem import Problem
from benchmarks.served import Served

ANSWERED = "answered"
NUMBERS = ("log_z", "error", "evaluations", "gradients", "seconds")


def ask(served: Served, problem: str, seed: int) -> dict[str, Any]:
    """What a contestant says of a problem, and of how much it asked, with a "status"."""
    said = served.ask(f"{problem} {seed}")
    if "status" in said:
        return said
    if said.pop("again"):
        counts = served.line()
        said |= {name: counts.get(name) for name in ("evaluations", "gradients")}
    return {"status": ANSWERED, "gradients": 0} | said


def race(
    contestants: Sequence[Contestant],
    problems: Sequence[Problem],
    seeds: Sequence[int],
    limit: float,
) -> Iterator[dict[str, Any]]:
    """A row for each contestant, problem and seed, as soon as it is known."""
    for contestant in contestants:
        served = Served("benchmarks.evidence.worker", [contestant.name], limit)
        try:
            for problem in problems:
                for seed in seeds:
                    said = ask(served, problem.name, seed)
                    yield _row(contestant, problem, seed, served.versions, said)
        finally:
            served.close()


def _row(
    contestant: Contestant,
    problem: Problem,
    seed: int,
    versions: dict[str, str],
    said: dict[str, Any],
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(NUMBERS)
    row |= {"verdict": ""} | said
    off = None if row["log_z"] is None else row["log_z"] - problem.log_z
    return {
        "problem": problem.name,
        "dim": problem.dim,
        "exact": problem.log_z,
        "known": problem.known,
        "smooth": problem.smooth,
        "held": problem.held,
        "contestant": contestant.name,
        "versions": versions,
        "seed": seed,
        "off": off,
    } | row
