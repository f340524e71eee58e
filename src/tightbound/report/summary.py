"""The same headline for a terminal: rows of a Markdown table, no colour, no control characters."""

from pathlib import Path
from typing import Any

from tightbound.report.baselines import baseline_rows, losses
from tightbound.report.choice import candidate_rows, notes, verdict_on_deep
from tightbound.report.corrected import ladder_rows
from tightbound.report.curves import finite_mean
from tightbound.report.headline import (
    active_units,
    draws_rows,
    error_bars,
    evaluation_rows,
    headline,
    scale_rows,
)
from tightbound.report.records import Records, read_records
from tightbound.report.text import count, number, plain, terminal
from tightbound.report.values import as_mapping


def summary_lines(directory: Path) -> list[str]:
    """Rows of a two-column Markdown table: what was run, its headline numbers, what is missing.

    Args:
        directory: A run folder.

    Raises:
        UsageError: No run folder, or no finished epoch in it.
    """
    records = read_records(directory)
    rows = [
        ("run", records.name),
        ("data", plain(records.data.get("name") or records.config.get("data", "not recorded"))),
        ("objective", objective(records)),
        *_choice(records),
        *_training(records),
        *_evaluation(records),
        *_other_evaluations(records),
        *((f"active units, {name}", f"{a} of {n}") for name, a, n in active_units(records)),
        *((file, f"{why}: `{records.command(file)}`") for file, why in records.absent.items()),
    ]
    return ["| | |", "|---|---|", *(f"| {terminal(a)} | {terminal(b)} |" for a, b in rows)]


def objective(records: Records) -> str:
    """The objective as the run recorded it, else as the configuration names it."""
    return plain(records.run.get("objective") or records.config.get("objective", "not recorded"))


NO_BOUND = {
    "consistent": "estimate (no bound)",
    "exact": "log p(x), exact",
    "none": "objective (no bound)",
}
"""What is said of numbers that are no bound, by their direction."""


def bound_name(records: Records) -> str:
    """What the learning curve shows: direction and k of the training bound."""
    bound, kind = as_mapping(records.run.get("bound")), bound_kind(records)
    return f"{kind}, k = {plain(bound['k'])}" if "k" in bound else kind


def bound_kind(records: Records) -> str:
    """The direction of the training bound, or in words that it is none."""
    kind = plain(as_mapping(records.run.get("bound")).get("kind", ""))
    return NO_BOUND.get(kind, f"{kind} bound".strip())


def _training(records: Records) -> list[tuple[str, str]]:
    last = finite_mean(records.history.train[-1:], axis=1)[0]
    epochs = count(float(records.history.epoch[-1]))
    return [(f"training {bound_name(records)}, epoch {epochs}", f"{number(float(last))} nats")]


def _choice(records: Records) -> list[tuple[str, str]]:
    """What was tried, best first, and what depth was worth."""
    rows = []
    for row in candidate_rows(records):
        name, log_p, stderr, difference, paired, _, weight, time = row
        below = f"; {difference} ± {paired} to the best" if difference else ""
        shown = f"{log_p} ± {stderr} nats a held-out row{below}; weight {weight}, {time}"
        rows.append((f"candidate {name}", shown))
    said = {"about the candidates": notes(records), "deep models": verdict_on_deep(records)}
    return [*rows, *((name, words) for name, words in said.items() if words)]


def _other_evaluations(records: Records) -> list[tuple[str, str]]:
    """A row for each evaluation but the one that leads, with what it is about."""
    rows = []
    for judged, row in zip(records.evaluations, evaluation_rows(records), strict=True):
        part, k, key, epoch, value, error, verdict, about = row
        if judged is not records.leading:
            draws = f"k = {k}" if "k" in judged.record else k
            name = f"{'earlier ' if judged.stale else ''}{part} log-likelihood, {draws}, key {key}"
            standing = f"; {about}" if judged.beside else ""
            standing = f"; epoch {epoch}, {about}" if judged.stale else standing
            rows.append(
                (name, f"{value} nats per item, {error} over the items ({verdict}){standing}")
            )
    return rows


def _evaluation(records: Records) -> list[tuple[str, str]]:
    found = headline(records)
    if found is None:
        return []
    return [
        (f"{found.split} log-likelihood", f"{number(found.value)} {found.unit} per item"),
        ("negative (NLL)", f"{number(-found.value)} {found.unit} per item"),
        *scale_rows(records, found),
        *(
            (f"baseline, {name}", value)
            for name, value in baseline_rows(found.baselines, found.unit)
        ),
        *([("baselines", found.about_baselines)] if found.about_baselines else []),
        *(("beside baselines", words) for words in losses(found.baselines, found.unit)),
        *((f"error, {source}", size) for source, size in error_bars(found)),
        ("direction", found.direction),
        *ladder_rows(found.ladder, found.unit),
        *(
            [*draws_rows(found), ("items, seeds", f"{count(found.n)}, {len(found.seeds)}")]
            if found.exact
            else [("k, items, seeds", f"{count(found.k)}, {count(found.n)}, {len(found.seeds)}")]
        ),
        ("binarisation", found.binarisation),
        ("verdict", f"{found.verdict}: {found.reason}" if found.reason else found.verdict),
    ]


def json_records(directory: Path) -> dict[str, Any]:
    """The records that are there and about the run as it stands, by name, for programs.

    "evaluation" is the one that leads; "evaluations" are all, with `stale` saying why one is not
    about the run as it stands, empty where it is. "absent" says of each lack why it is one.

    Raises:
        UsageError: No run folder, no finished epoch in it, or a damaged record.
    """
    records = read_records(directory)
    found = {
        "name": records.name,
        "epochs": len(records.history.epoch),
        "run": records.run,
        "evaluation": records.evaluation,
        "evaluations": [
            {"file": judged.file, "stale": judged.stale, **judged.record}
            for judged in records.evaluations
        ],
        "units": records.units,
        "calibration": records.calibration,
        "absent": records.absent,
    }
    return {name: record for name, record in found.items() if record}
