"""Asks contestants for answers, each in a process of its own, and keeps them in a file of lines."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.served import LATE, Served
from benchmarks.tables.contestants import Contestant
from benchmarks.tables.question import Question

ANSWERED = "answered"
KEY = ("question", "problem", "setting", "seed", "contestant", "version")

Row = dict[str, Any]
Task = tuple[str, str, int]


def rows_in(path: Path) -> list[Row]:
    """The file's rows; a line that was cut off when a race was stopped is none.

    Of a task that was asked twice (because it had failed) the later row stands.
    """
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[tuple(row[name] for name in KEY)] = row
    return list(found.values())


def race(
    question: Question,
    contestants: Sequence[Contestant],
    tasks: Sequence[Task],
    limit: float,
    path: Path,
) -> Iterator[Row]:
    """A row for each contestant and task that the file does not have, appended as it is known.

    What was answered, or took too long, by the same version is not asked again; what failed is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.read_text().endswith("\n"):
        _append(path, "")
    done = {
        tuple(row[name] for name in KEY)
        for row in rows_in(path)
        if row["status"] == ANSWERED or row["status"].startswith(LATE)
    }
    for contestant in contestants:
        served = Served("benchmarks.tables.worker", [question.name, contestant.name], limit)
        try:
            for problem, setting, seed in tasks:
                version = _version(served)
                key = (question.name, problem, setting, seed, contestant.name, version)
                if key in done:
                    continue
                said = served.ask(json.dumps([problem, setting, seed]))
                row = dict(zip(KEY, key, strict=True)) | {"status": ANSWERED} | said
                _append(path, json.dumps(row))
                yield row
                if question.fresh:
                    served.close()
        finally:
            served.close()


def _append(path: Path, line: str) -> None:
    """In one write, so that several races may keep one file."""
    with path.open("a") as file:
        file.write(line + "\n")


def _version(served: Served) -> str:
    """Of what it is made of; "" where it cannot be started."""
    served.ready()
    return ", ".join(f"{package} {version}" for package, version in served.versions.items())
