"""The models that were tried on a table, and which of them were chosen."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tightbound.report.records import Records
from tightbound.report.text import count, duration, error, number, percent, plain
from tightbound.report.values import as_mapping, as_number, as_sequence

COLUMNS = ["candidate", "held-out log p", "±", "to the best", "± paired", "rows", "weight", "time"]
DEEP = "deep"
"""The kind of models with networks."""
SURE = 2.0
"""Standard errors from which a difference is more than chance."""


class Candidate(NamedTuple):
    """One of them; nats per row."""

    name: str
    kind: str
    log_p: float
    stderr: float
    difference: float
    """To the best one, row by row: 0, or negative."""
    difference_stderr: float
    rows: float
    """How many rows it was judged on."""
    weight: float
    """Its share of the model; 0 for what was not chosen."""
    seconds: float


def candidates(records: Records) -> list[Candidate]:
    """All of them, best first; none where the model was asked for."""
    found = map(as_mapping, as_sequence(_choice(records).get("candidates")))
    # By differences, since not all are judged on the same rows.
    return sorted(map(_candidate, found), key=lambda one: -_or_least(one.difference))


def _choice(records: Records) -> Mapping[str, Any]:
    return as_mapping(records.run.get("choice"))


def _candidate(found: Mapping[str, Any]) -> Candidate:
    name, kind = (plain(found.get(word, "")) for word in ("name", "kind"))
    numbers = {word: as_number(found.get(word)) for word in Candidate._fields[2:]}
    return Candidate(name, kind, **numbers)


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def notes(records: Records) -> str:
    """What must be known of the choice, in words; else empty."""
    return "; ".join(map(plain, as_sequence(_choice(records).get("notes"))))


def candidate_rows(records: Records) -> list[list[str]]:
    """One row of text per candidate, in the order of `COLUMNS`."""
    return [
        [
            f"{one.name} (chosen)" if one.weight > 0 else one.name,
            number(one.log_p),
            error(one.stderr),
            number(one.difference) if place else "",
            error(one.difference_stderr) if place else "",
            count(one.rows),
            percent(one.weight),
            duration(one.seconds),
        ]
        for place, one in enumerate(candidates(records))
    ]


def verdict_on_deep(records: Records) -> str:
    """A plain sentence on what depth is worth; empty where no deep model stands beside another."""
    found = candidates(records)
    deep, plainer = ([one for one in found if (one.kind == DEEP) is kind] for kind in (True, False))
    if not deep or not plainer:
        return ""
    best, other = found[0], plainer[0] if found[0].kind == DEEP else deep[0]
    size = f"{number(-other.difference)} ± {error(other.difference_stderr)}"
    sure = -other.difference >= SURE * other.difference_stderr
    if best.kind != DEEP:
        words = f"the best of them, {other.name}, is {size} nats a held-out row below {best.name}"
        if sure:
            return f"The deep models lose: {words}."
        return f"No deep model is better: {words}, which is within the error."
    if not any(one.weight > 0 for one in deep):
        return (
            f"No deep model is chosen: the best of them, {best.name}, is {size} nats a held-out "
            f"row above {other.name} alone, and not above the others together."
        )
    if sure:
        return (
            f"A deep model wins: the best of the others, {other.name}, is {size} nats a held-out "
            "row below it."
        )
    return (
        f"The chosen model is deep, and not surely better: {other.name} is {size} nats a held-out "
        "row below it."
    )
