"""Numbers of an evaluation that the ladder corrected, and the lower bound that they come from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tightbound.report.text import TONES, count, error, number, plain, tone
from tightbound.report.values import as_mapping, as_number


class Ladder(NamedTuple):
    """What the ladder made of importance sampling; the mean of all seeds, in nats per item."""

    bound: float
    """The lower bound that it started from."""
    verdict: str
    """The worst word on that bound."""
    shift: float
    error: float
    """Standard error of that, from the draws and from the choice of items."""
    items: float
    """Items that it looked at, for each seed."""
    difference: float
    """By how much it is above the bound, also where that moved nothing; and its standard error."""
    stderr_difference: float


def ladder(seed: object) -> Mapping[str, Any]:
    """What a record says of the numbers of one seed that the ladder corrected, if it did."""
    return as_mapping(as_mapping(seed).get("recommended"))


def leading_numbers(seed: object) -> Mapping[str, Any]:
    """What a record says of one seed: of what the ladder corrected before all else."""
    return {**as_mapping(seed), **ladder(seed)}


def over_seeds(recorded: Sequence[object]) -> Ladder | None:
    """What the ladder did, where it looked at some items of every seed."""
    seeds = [as_mapping(seed) for seed in recorded]
    found = [ladder(seed) for seed in recorded]
    if not found or not all(found):
        return None

    def over(records: list[Mapping[str, Any]], name: str) -> float:
        return sum(as_number(of.get(name)) for of in records) / len(records)

    words = [plain(seed.get("verdict", "none")) for seed in seeds]
    return Ladder(
        bound=over(seeds, "log_evidence_mean"),
        verdict=max(words, key=lambda word: TONES.index(tone(word))),
        shift=over(found, "shift"),
        # Not divided by the root of their number: the seeds share the choice of items.
        error=over(found, "stderr_mean_mc"),
        items=over(found, "n"),
        difference=over(found, "difference"),
        stderr_difference=over(found, "stderr_difference"),
    )


def ladder_rows(of: Ladder | None, unit: str) -> list[tuple[str, str]]:
    """Where the number comes from, and the lower bound beside it; nothing without a ladder."""
    if of is None:
        return []
    items = f"the ladder on {count(of.items)} items"
    if of.shift == 0:
        beside = f"{number(of.difference, 3)} ± {error(of.stderr_difference)}"
        return [("estimator", f"importance sampling; {items} does not contradict it ({beside})")]
    bound = f"{number(of.bound)} {unit} per item by importance sampling ({of.verdict})"
    return [
        ("estimator", f"importance sampling, corrected by {items}"),
        ("lower bound", f"{bound}; the ladder adds {number(of.shift, 3)} ± {error(of.error)}"),
    ]
