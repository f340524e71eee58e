"""Rows as Markdown: who answered, how far off, at what cost, and where tightbound lost."""

import itertools
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.evidence.contestants import CONTESTANTS, OURS
from benchmarks.evidence.race import ANSWERED

GRADIENT = 3
"""What a gradient costs, in evaluations: its value, and a backward pass of about two."""
CLOSE = 0.05
WRONG = 0.1
TRUST = "trust"

Row = dict[str, Any]


def markdown(rows: Sequence[Row]) -> str:
    """Three parts: each contestant's sum, each problem's row, and the losses."""
    names = [c.name for c in CONTESTANTS if any(r["contestant"] == c.name for r in rows)]
    head = ["problem", "dim", "exact", *names]
    problems = [
        [*_problem(group[0]), *(_cell(_of(group, name)) for name in names)]
        for group in _grouped(rows)
    ]
    parts = [_table(SUMS, [_sums(name, _of(rows, name)) for name in names]), _table(head, problems)]
    parts.append(
        "Error in nats (± the error claimed); values of the likelihood, and gradients as g; "
        "seconds of one processor; verdict. Of several keys, medians. * held back: no default was "
        "tuned on it."
    )
    return "\n\n".join([*parts, *_losses(rows)])


def cost(row: Row) -> float | None:
    """Evaluations, a gradient for three of them; None if not counted."""
    if row["evaluations"] is None or row["gradients"] is None:
        return None
    return row["evaluations"] + GRADIENT * row["gradients"]


SUMS = [
    "contestant",
    "versions",
    "answered",
    f"within {CLOSE} nats",
    "within 3 claimed errors",
    f'"{TRUST}"',
    f'"{TRUST}" and more than {WRONG} off',
    "median evaluations",
    "median s",
]


def _sums(name: str, rows: Sequence[Row]) -> list[str]:
    answered = [row for row in rows if row["status"] == ANSWERED]
    claimed = [row for row in answered if row["error"] is not None]
    trusted = [row for row in answered if row["verdict"] == TRUST]
    costs = [found for row in answered if (found := cost(row)) is not None]
    versions = next((row["versions"] for row in rows if row["versions"]), {})
    judged = any(row["verdict"] for row in rows)
    return [
        name,
        ", ".join(f"{package} {version}" for package, version in versions.items()),
        f"{len(answered)} of {len(rows)}",
        str(sum(abs(row["off"]) <= CLOSE for row in answered)),
        f"{sum(abs(row['off']) <= 3 * row['error'] for row in claimed)} of {len(claimed)}",
        str(len(trusted)) if judged else "",
        str(sum(not abs(row["off"]) <= WRONG for row in trusted)) if judged else "",
        _count(statistics.median(costs)) if costs else "",
        f"{statistics.median(row['seconds'] for row in answered):.1f}" if answered else "",
    ]


def _problem(row: Row) -> list[str]:
    return [row["problem"] + ("*" if row["held"] else ""), str(row["dim"]), f"{row['exact']:.4f}"]


def _cell(rows: Sequence[Row]) -> str:
    answered = [row for row in rows if row["status"] == ANSWERED]
    if not answered:
        return rows[0]["status"].replace("|", "/") if rows else ""
    some = "" if len(answered) == len(rows) else f" ({len(answered)} of {len(rows)} keys)"
    claimed = [row["error"] for row in answered if row["error"] is not None]
    asked = [row["evaluations"] for row in answered if row["evaluations"] is not None]
    gradients = [row["gradients"] for row in answered if row["gradients"]]
    verdicts = sorted({row["verdict"] for row in answered} - {""})
    parts = [
        f"{statistics.median(row['off'] for row in answered):+.3f}"
        + (f" ± {statistics.median(claimed):.3f}" if claimed else ""),
        (_count(statistics.median(asked)) if asked else "not counted")
        + (f" + {_count(statistics.median(gradients))} g" if gradients else ""),
        f"{statistics.median(row['seconds'] for row in answered):.1f} s",
        " / ".join(verdicts),
    ]
    return "; ".join(part for part in parts if part) + some


def _losses(rows: Sequence[Row]) -> Iterator[str]:
    """Where ours is wrong without saying so, or dearer than a peer on a smooth problem."""
    for group in _grouped(rows):
        ours = [row for row in _of(group, OURS) if row["status"] == ANSWERED]
        if any(row["verdict"] == TRUST and not abs(row["off"]) <= WRONG for row in ours):
            yield f'{group[0]["problem"]}: a wrong "{TRUST}".'
        mine = [found for row in ours if (found := cost(row)) is not None]
        cheaper = {
            row["contestant"]
            for row in group
            if row["contestant"] != OURS
            and row["status"] == ANSWERED
            and (theirs := cost(row)) is not None
            and mine
            and theirs < statistics.median(mine)
        }
        if group[0]["smooth"] and cheaper:
            yield f"{group[0]['problem']}: fewer evaluations by {', '.join(sorted(cheaper))}."


def _grouped(rows: Sequence[Row]) -> list[list[Row]]:
    order = list(dict.fromkeys(row["problem"] for row in rows))
    return [[row for row in rows if row["problem"] == name] for name in order]


def _of(rows: Sequence[Row], contestant: str) -> list[Row]:
    return [row for row in rows if row["contestant"] == contestant]


def _count(number: float) -> str:
    """Three digits."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.0f}"


def _table(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(cells) + " |"
        for cells in itertools.chain([head, ["---"] * len(head)], lines)
    )
