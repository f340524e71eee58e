"""What commands print: lines for people, or one line of JSON for programs."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def say(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints a flat record."""
    if as_json:
        print_json(record)
    else:
        print(visible(", ".join(f"{name}: {value}" for name, value in record.items())))


def visible(text: str) -> str:
    """The text on one line, with escapes for what steers a terminal or cannot be written."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def print_json(record: Any) -> None:
    """Prints one line of JSON; numbers that are not finite become null."""
    print(json.dumps(_finite(record), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_run(
    directory: Path,
    page: Path,
    *,
    as_json: bool,
    evaluation: Mapping[str, Any] | None = None,
) -> None:
    """Prints a run's headline numbers, and where its report is.

    Args:
        directory: The run's folder.
        page: The report.
        as_json: One line of JSON in place of a table.
        evaluation: The record that was asked for; left out it is the one that leads the report.
    """
    if as_json:
        print_json(flat_record(directory, page, evaluation))
        return
    from tightbound.report import summary_lines

    print("\n".join(summary_lines(directory)))
    print(f"report: {visible(str(page))}")


def flat_record(
    directory: Path, page: Path, evaluation: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A run's headline numbers under flat names; null where there is no evaluation.

    `stderr` is the standard error of `mean`: over the seeds if there are several, else over the
    items, which holds that of the draws; `stderr_draws` is that of the draws alone. Where the
    ladder corrected `mean` by `shift`, both hold `stderr_shift`, the error from the choice of the
    items that it looked at, and `importance_mean` is the lower bound that it started from.
    """
    from tightbound.report import json_records
    from tightbound.report.corrected import ladder, leading_numbers
    from tightbound.report.values import as_mapping, as_sequence

    records = json_records(directory)
    run = as_mapping(records.get("run"))
    ev = as_mapping(records.get("evaluation") if evaluation is None else evaluation)
    bound = as_mapping(run.get("bound"))
    calibration = as_mapping(records.get("calibration"))
    recorded = as_sequence(ev.get("seeds"))
    seeds = [leading_numbers(seed) for seed in recorded]
    low, high = [*as_sequence(ev.get("interval")), None, None][:2]
    return {
        "run": records["name"],
        "directory": str(directory),
        "report": str(page),
        "data": (as_mapping(ev.get("source")) or as_mapping(run.get("data"))).get("name"),
        "objective": run.get("objective"),
        # Among the candidates of a table's fit; null where one model was asked for.
        "chosen": as_mapping(run.get("choice")).get("chosen"),
        "bound": bound.get("kind"),
        "parameters": run.get("parameters"),
        # Those of the model that was judged: training may have gone on since.
        "epochs": ev.get("epoch", records["epochs"]),
        "mean": ev.get("mean"),
        "stderr": _stderr(seeds),
        "stderr_draws": _stderr_draws(seeds),
        # Whether that is only a lower bound: some weights may have no variance.
        "stderr_at_least": any(seed.get("stderr_at_least") is True for seed in seeds)
        if seeds
        else None,
        "low": low,
        "high": high,
        "interval": ev.get("interval_kind"),
        "unit": ev.get("unit"),
        "direction": ev.get("direction"),
        "k": ev.get("k"),
        "split": ev.get("split"),
        "n": ev.get("n"),
        "seeds": len(seeds) or run.get("seeds"),
        "binarisation": ev.get("binarisation"),
        "verdict": ev.get("verdict"),
        "reason": ev.get("reason") if ev else as_mapping(records.get("absent")).get("evaluations"),
        **_annealed(seeds),
        **_ladder([(as_mapping(seed), ladder(seed)) for seed in recorded]),
        "classifier_loss": _classifier(calibration, "loss"),
        "classifier_accuracy": _classifier(calibration, "accuracy"),
    }


def _stderr(seeds: Sequence[Mapping[str, Any]]) -> float | None:
    means = [seed["log_evidence_mean"] for seed in seeds if _number(seed, "log_evidence_mean")]
    if len(means) < 2:
        return seeds[0].get("stderr_data") if seeds else None
    centre = math.fsum(means) / len(means)
    variance = math.fsum((mean - centre) ** 2 for mean in means) / (len(means) - 1)
    return math.hypot(math.sqrt(variance / len(means)), _shared(seeds))


def _stderr_draws(seeds: Sequence[Mapping[str, Any]]) -> float | None:
    """Of the draws, which each seed has for itself, and of the choice of items that all share."""
    errors = [seed.get("stderr_mean_mc") for seed in seeds]
    shifts = [seed["stderr_shift"] if _number(seed, "stderr_shift") else 0.0 for seed in seeds]
    own = [
        math.sqrt(max(error**2 - shift**2, 0.0)) if isinstance(error, int | float) else None
        for error, shift in zip(errors, shifts, strict=True)
    ]
    found = _mean_stderr(own)
    return None if found is None else math.hypot(found, _shared(seeds))


def _shared(seeds: Sequence[Mapping[str, Any]]) -> float:
    """The error from the ladder's choice of items: alike for all seeds, and so not averaged out."""
    shifts = [seed["stderr_shift"] for seed in seeds if _number(seed, "stderr_shift")]
    return math.fsum(shifts) / len(shifts) if shifts else 0.0


def _mean_stderr(errors: list[Any]) -> float | None:
    """The standard error of a mean over independent numbers with these errors."""
    if not errors or not all(isinstance(error, int | float) for error in errors):
        return None
    return math.sqrt(math.fsum(error**2 for error in errors)) / len(errors)


def _annealed(seeds: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The estimate by annealing, where there is one for each seed."""
    found = [seed.get("annealed") or {} for seed in seeds]
    if not found or not all(_number(one, "log_evidence_mean") for one in found):
        return {"annealed_mean": None, "annealed_stderr_draws": None}
    means = [one["log_evidence_mean"] for one in found]
    return {
        "annealed_mean": math.fsum(means) / len(means),
        "annealed_stderr_draws": _mean_stderr([one.get("stderr_mean_mc") for one in found]),
    }


def _ladder(seeds: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Any]:
    """What was before the ladder, and what it added, where it looked at items of each seed."""
    if not seeds or not all(_number(after, "shift") for _, after in seeds):
        return dict.fromkeys(("importance_mean", "shift", "stderr_shift"))
    return {
        "importance_mean": math.fsum(before["log_evidence_mean"] for before, _ in seeds)
        / len(seeds),
        "shift": math.fsum(after["shift"] for _, after in seeds) / len(seeds),
        "stderr_shift": _shared([after for _, after in seeds]),
    }


def _classifier(calibration: Mapping[str, Any], name: str) -> float | None:
    """The number of the worst classifier of an adversarial run: the one that tells most."""
    found = [one[name] for one in calibration.get("classifiers", []) if _number(one, name)]
    return (min(found) if name == "loss" else max(found)) if found else None


def _number(record: Mapping[str, Any], name: str) -> bool:
    return isinstance(record.get(name), int | float)


def print_blocks(rows: Sequence[Mapping[str, str]]) -> None:
    """One paragraph a row: its second entry as title, the others by name below it."""
    from textwrap import fill

    for row in rows:
        _, (_, title), *others = row.items()
        print(f"\n{title}")
        for name, text in others:
            label = f"{name + ':':<11}{text}"
            print(fill(label, 100, initial_indent="  ", subsequent_indent=" " * 13))


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """One line a row, in columns as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], show_lines=True)
    for row in rows:
        table.add_row(*row.values())
    Console().print(table, markup=False)
