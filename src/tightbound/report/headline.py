"""The numbers that come first: the log-likelihood, its error bars, its verdict, its other forms."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tightbound.report.baselines import Baseline, about_baselines, baselines
from tightbound.report.corrected import Ladder, ladder, leading_numbers, over_seeds
from tightbound.report.records import Records
from tightbound.report.text import count, error, number, percent, plain
from tightbound.report.units import layers
from tightbound.report.values import as_mapping, as_number, as_sequence

LEAST_ROUNDING = 5e-4
"""Least rounding that is shown, in nats."""


class Seed(NamedTuple):
    """The evaluation of one seed; means are nats per item."""

    log_evidence: float
    monte_carlo: float
    at_least: bool
    """Whether that is only a lower bound."""
    rounding: float
    """How far single precision may have taken the mean, in nats; NaN where it is not recorded."""
    sampling: float
    ess: float
    khat_share: float
    verdict: str


class Headline(NamedTuple):
    """The evaluation of a run in words and numbers; numbers are NaN where nothing is recorded."""

    split: str
    value: float
    interval: tuple[float, float] | None
    interval_kind: str
    unit: str
    direction: str
    k: float
    """NaN where nothing is drawn."""
    method: str
    """The estimator in words, where it is of one."""
    n: float
    binarisation: str
    verdict: str
    reason: str
    seeds: list[Seed]
    baselines: list[Baseline]
    """What simple models of the same data make of them."""
    about_baselines: str
    """What must be known of them, or why there are none, in words; else empty."""
    ladder: Ladder | None
    """Where the ladder corrected the numbers; these are then the corrected ones."""
    steps: float
    """Steps of all items together, where they are sequences; NaN where they are not."""
    per_step: float

    @property
    def exact(self) -> bool:
        """Whether nothing is drawn for the numbers."""
        return self.direction == "exact"


def headline(records: Records) -> Headline | None:
    """The numbers of the leading evaluation, None where there is none."""
    found = records.evaluation
    if not found:
        return None
    recorded = list(map(leading_numbers, as_sequence(found.get("seeds"))))
    seeds = [
        Seed(
            log_evidence=as_number(seed.get("log_evidence_mean")),
            monte_carlo=as_number(seed.get("stderr_mean_mc")),
            at_least=seed.get("stderr_at_least") is True,
            rounding=as_number(seed.get("rounding")),
            sampling=as_number(seed.get("stderr_data")),
            ess=as_number(seed.get("ess_median")),
            khat_share=as_number(seed.get("khat_share_bad")),
            verdict=plain(seed.get("verdict", "none")),
        )
        for seed in recorded
    ]
    ends = [as_number(end) for end in as_sequence(found.get("interval"))]
    return Headline(
        split=plain(found.get("split", "test")),
        value=as_number(found.get("mean")),
        interval=(ends[0], ends[1]) if len(ends) == 2 else None,
        interval_kind=plain(found.get("interval_kind", "interval")),
        unit=plain(found.get("unit", "nats")),
        direction=plain(found.get("direction", "not recorded")),
        k=as_number(found.get("k")),
        method=" and ".join(dict.fromkeys(plain(seed.get("method", "")) for seed in recorded)),
        n=as_number(found.get("n")),
        binarisation=plain(found.get("binarisation", "not recorded")),
        verdict=plain(found.get("verdict", "no verdict")),
        reason=plain(found.get("reason", "")),
        seeds=seeds,
        baselines=baselines(found),
        about_baselines=about_baselines(found),
        ladder=over_seeds(as_sequence(found.get("seeds"))),
        steps=as_number(found.get("steps")),
        per_step=as_number(found.get("per_step")),
    )


def interval_text(found: Headline) -> str | None:
    """The interval over seeds, `[low, high]`; None where there are no two seeds."""
    if found.interval is None or len(found.seeds) < 2:
        return None
    low, high = (number(end) for end in found.interval)
    return f"[{low}, {high}]"


def error_bars(found: Headline) -> list[tuple[str, str]]:
    """Each source of error by itself: seeds, items, draws, rounding; the largest of the seeds'."""
    rounded = [seed.rounding for seed in found.seeds if seed.rounding >= LEAST_ROUNDING]
    return [
        (
            found.interval_kind if interval_text(found) else "over seeds",
            interval_text(found) or "one seed, spread unknown",
        ),
        (f"over the {count(found.n)} items", _largest([s.sampling for s in found.seeds])),
        ("Monte Carlo", "none, nothing is drawn")
        if found.exact
        else (_monte_carlo(found), _largest([s.monte_carlo for s in found.seeds])),
        *([("single precision", f"up to {error(max(rounded))}")] if rounded else []),
    ]


def _monte_carlo(found: Headline) -> str:
    """Whose error it is, and whether it is all of it."""
    at_least = ", at least" if any(seed.at_least for seed in found.seeds) else ""
    if found.ladder is not None:
        items = count(found.ladder.items)
        return f"Monte Carlo at k = {count(found.k)}, the ladder on {items} items{at_least}"
    return f"Monte Carlo at k = {count(found.k)}{at_least}"


def _largest(errors: list[float]) -> str:
    if not errors:
        return "not recorded"
    largest = max(errors) if all(map(math.isfinite, errors)) else math.nan
    return f"± {error(largest)}" if math.isfinite(largest) else error(largest)


def scale_rows(records: Records, found: Headline) -> list[tuple[str, str]]:
    """The number on another scale: per step of sequences, else in bits per dimension."""
    if math.isfinite(found.steps):
        of = f"{count(found.steps)} steps in {count(found.n)} sequences"
        return [("per step", f"{number(found.per_step, 4)} {found.unit} ({of})")]
    bits = bits_per_dim(records, found)
    return [] if bits is None else [("bits per dimension", number(bits, 4))]


def bits_per_dim(records: Records, found: Headline) -> float | None:
    """Bits per dimension; None where the likelihood is a density, whose bits depend on a scale."""
    sizes = [as_number(size) for size in as_sequence(records.data.get("shape"))]
    dimensions = math.prod(sizes) if sizes else math.nan
    discrete = as_mapping(records.run.get("likelihood")).get("discrete") is True
    if not discrete or not dimensions > 0:
        return None
    return -found.value / (dimensions * math.log(2))


def active_units(records: Records) -> list[tuple[str, int, int]]:
    """Per layer its name, how many units are active, and how many there are."""
    return [(layer.name, layer.active, len(layer.variance)) for layer in layers(records)]


def draws_rows(found: Headline) -> list[tuple[str, str]]:
    """How many draws there are for each item, or what is done in their place."""
    if found.exact:
        return [("estimator", found.method)]
    return [("importance samples", f"k = {count(found.k)} per item")]


def seed_rows(found: Headline) -> list[list[str]]:
    """One row of text per seed, in the order of `SEED_COLUMNS`; none where nothing is drawn."""
    if found.exact:
        return []
    return [
        [
            str(index),
            number(seed.log_evidence),
            error(seed.sampling),
            error(seed.monte_carlo),
            number(seed.ess, 1),
            percent(seed.khat_share),
            seed.verdict,
        ]
        for index, seed in enumerate(found.seeds)
    ]


SEED_COLUMNS = ["seed", "log p(x)", "± items", "± Monte Carlo", "median ESS", "bad k̂", "verdict"]


def evaluation_rows(records: Records) -> list[list[str]]:
    """One row of text per evaluation, in the order of `EVALUATION_COLUMNS`."""
    rows = []
    for judged in records.evaluations:
        asked, found = judged.question, judged.record
        about = (
            judged.stale
            or judged.beside
            or ("leads" if judged is records.leading else "the run as it stands")
        )
        errors = [
            as_number(leading_numbers(seed).get("stderr_data"))
            for seed in as_sequence(found.get("seeds"))
        ]
        rows.append(
            [
                plain(asked.get("split", "")),
                _draws(found),
                plain(asked.get("key", "")),
                plain(found.get("epoch", "")),
                number(as_number(found.get("mean"))),
                _largest(errors),
                plain(found.get("verdict", "no verdict")),
                about,
            ]
        )
    return rows


def _draws(record: Mapping[str, Any]) -> str:
    """How many, and that the ladder went beside them; or that there are none."""
    if "k" not in record:
        return plain(record.get("direction", ""))
    corrected = any(ladder(seed) for seed in as_sequence(record.get("seeds")))
    return count(as_number(record.get("k"))) + (" and ladder" if corrected else "")


EVALUATION_COLUMNS = ["part", "k", "key", "epoch", "log p(x)", "items", "verdict", "about"]
