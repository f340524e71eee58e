"""The models that were tried on a table, and which of them was chosen."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tightbound.report.records import Records
from tightbound.report.text import duration, error, number, percent, plain
from tightbound.report.values import as_mapping, as_number, as_sequence

COLUMNS = ["candidate", "held-out log p", "±", "to the best", "± paired", "weight", "time", ""]
DEEP = "deep"
"""What names of deep models begin with."""
SURE = 2.0
"""Standard errors from which a difference is more than chance."""


class Candidate(NamedTuple):
    """One of them; nats per row."""

    name: str
    description: str
    log_p: float
    stderr: float
    difference: float
    """To the best one, row by row; negative if it is worse."""
    difference_stderr: float
    weight: float
    seconds: float

    @property
    def deep(self) -> bool:
        """Whether it has networks."""
        return self.name.startswith(DEEP)


def candidates(records: Records) -> list[Candidate]:
    """All of them, best first; none where the model was asked for."""
    found = map(as_mapping, as_sequence(_choice(records).get("candidates")))
    return sorted(map(_candidate, found), key=lambda one: -_or_least(one.log_p))


def _choice(records: Records) -> Mapping[str, Any]:
    return as_mapping(records.run.get("choice"))


def _candidate(found: Mapping[str, Any]) -> Candidate:
    name, description = (plain(found.get(word, "")) for word in ("name", "description"))
    numbers = {word: as_number(found.get(word)) for word in Candidate._fields[2:]}
    return Candidate(name, description, **numbers)


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def chosen(records: Records) -> str:
    """The name of the chosen one; empty where there was no choice."""
    return plain(_choice(records).get("chosen", ""))


def candidate_rows(records: Records) -> list[list[str]]:
    """One row of text per candidate, in the order of `COLUMNS`."""
    return [
        [
            f"{one.name} (chosen)" if one.weight else one.name,
            number(one.log_p),
            error(one.stderr),
            number(one.difference) if one.difference else "",
            error(one.difference_stderr) if one.difference else "",
            percent(one.weight),
            duration(one.seconds),
            one.description,
        ]
        for one in candidates(records)
    ]


def verdict_on_deep(records: Records) -> str:
    """A plain sentence on what depth is worth; empty where no deep model stands beside another."""
    found, best = candidates(records), chosen(records)
    deep, plainer = ([one for one in found if one.deep is kind] for kind in (True, False))
    if not deep or not plainer:
        return ""
    if best in {one.name for one in deep}:
        other = plainer[0]
        size = f"{number(-other.difference)} ± {error(other.difference_stderr)}"
        if -other.difference < SURE * other.difference_stderr:
            return (
                f"The chosen model is deep, and not surely better: {other.name} is {size} nats a "
                "held-out row below it."
            )
        return (
            f"A deep model wins: the best of the others, {other.name}, is {size} nats a held-out "
            "row below it."
        )
    other = deep[0]
    size = f"{number(-other.difference)} ± {error(other.difference_stderr)}"
    if -other.difference < SURE * other.difference_stderr:
        return (
            f"No deep model is better: the best of them, {other.name}, is {size} nats a held-out "
            f"row below {best}, which is within the error."
        )
    return (
        f"The deep models lose: the best of them, {other.name}, is {size} nats a held-out row "
        f"below {best}."
    )
