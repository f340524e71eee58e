"""What simple models make of the same rows, and whether the model is above them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tightbound.report.text import number, plain
from tightbound.report.values import as_mapping, as_number


class Baseline(NamedTuple):
    """A simple model of the same rows; nats per item, NaN where nothing is recorded."""

    name: str
    mean: float
    difference: float
    """How far the model is above it, row by row."""
    low: float
    high: float
    """The 95 % interval of that."""


def about_baselines(found: Mapping[str, Any]) -> str:
    """What a record says of all of them, or why there are none."""
    if why := found.get("no_baselines"):
        return f"none; {plain(why)}"
    return plain(found.get("about_baselines", ""))


def baselines(found: Mapping[str, Any]) -> list[Baseline]:
    """The baselines of an evaluation's record."""
    against = as_mapping(found.get("against_baselines"))
    return [
        Baseline(
            plain(name),
            as_number(value),
            *(
                as_number(as_mapping(against.get(name)).get(end))
                for end in ("difference", "low", "high")
            ),
        )
        for name, value in as_mapping(found.get("baselines")).items()
    ]


def baseline_rows(found: Sequence[Baseline], unit: str) -> list[tuple[str, str]]:
    """Each baseline, its mean log-density, and how far the model is above or below it."""
    return [(of.name, _beside(of, unit)) for of in found]


def _beside(of: Baseline, unit: str) -> str:
    value = f"{number(of.mean)} {unit} per item"
    if not math.isfinite(of.difference):
        return value
    low, high = (of.low, of.high) if of.difference >= 0 else (-of.high, -of.low)
    word = "higher" if of.difference >= 0 else "lower"
    return (
        f"{value}; the model is {number(abs(of.difference))} {word}, 95 % interval "
        f"[{number(low)}, {number(high)}] over the items, paired"
    )


def losses(found: Sequence[Baseline], unit: str) -> list[str]:
    """A sentence for each baseline that the model is surely below: the 95 % interval is below 0."""
    return [
        f"The model loses to {of.name}: it is {number(-of.difference)} {unit} per item "
        f"below it, 95 % interval [{number(-of.high)}, {number(-of.low)}]."
        for of in found
        if of.high < 0
    ]
