"""Timings as ratios, in Markdown for people and in plain data for programs."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.contestants import FLOOR, REFERENCE
from benchmarks.rounds import Result

_UNITS = {"train": "training step", "likelihood": "image", "images": "training step"}


def ratio(result: Result, other: Result | None) -> float | None:
    """How many times longer than the other: the median over rounds of the ratio in a round."""
    if other is None or not other.milliseconds or not result.milliseconds:
        return None
    pairs = zip(result.milliseconds, other.milliseconds, strict=False)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def records(results: Sequence[Result]) -> list[dict]:
    """One flat record per contestant; times per unit in milliseconds, values in nats."""
    reference, floor = (
        _named(results, name) for name in (REFERENCE, FLOOR[results[0].contestant.task])
    )
    return [
        asdict(result.contestant)
        | {
            "unit": _UNITS[result.contestant.task],
            "status": result.status,
            "versions": result.versions,
            "milliseconds": result.milliseconds,
            "median": statistics.median(result.milliseconds) if result.milliseconds else None,
            "to_tightbound": ratio(result, reference),
            "to_floor": ratio(result, floor),
            "start_seconds": result.start_seconds,
            "first_seconds": result.first_seconds,
            "value": result.value,
        }
        for result in results
    ]


def markdown(rows: Sequence[dict]) -> str:
    """One table for the rows of one task."""
    head = ["contestant", "versions", f"ms per {rows[0]['unit']}", "min to max"]
    head += [
        "/ tightbound",
        f"/ {FLOOR[rows[0]['task']]}",
        "start s",
        "first block s",
        "nats",
        "what it computes",
    ]
    lines = [head, ["---"] * len(head), *(_cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict:
    """Where the timings were taken."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _cells(row: dict) -> list[str]:
    times = row["milliseconds"]
    spread = f"{min(times):.1f} to {max(times):.1f}" if times else ""
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    return [
        row["name"],
        versions,
        _number(row["median"]) if times else row["status"].replace("|", "/"),
        spread,
        _number(row["to_tightbound"], 2),
        _number(row["to_floor"], 2),
        _number(row["start_seconds"]),
        _number(row["first_seconds"]),
        _number(row["value"], 2),
        row["computes"],
    ]


def _named(results: Sequence[Result], name: str) -> Result | None:
    return next((result for result in results if result.contestant.name == name), None)


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
