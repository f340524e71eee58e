"""Where the numbers come from: data, versions, commands, and what is missing."""

import shlex

from tightbound.report.exhibit import Lack, Shown
from tightbound.report.records import RUN, Records
from tightbound.report.text import count, duration, plain
from tightbound.report.values import as_mapping, as_number, as_sequence


def data_rows(records: Records) -> list[tuple[str, str]]:
    """The data set as the run recorded it."""
    data = records.data
    shape = " × ".join(plain(size) for size in as_sequence(data.get("shape")))
    sizes = [
        f"{count(as_number(data[f'n_{part}']))} {part}"
        for part in ("train", "validation", "test")
        if f"n_{part}" in data
    ]
    rows = [
        ("name", plain(data.get("name", ""))),
        ("split", plain(data.get("split", ""))),
        ("items", ", ".join(sizes)),
        ("item shape", shape),
        ("units", plain(data.get("units", ""))),
        ("binarisation", plain(data.get("binarisation", ""))),
        ("checksum", plain(data.get("checksum", ""))),
        ("notes", plain(data.get("notes", ""))),
    ]
    return [(term, value) for term, value in rows if value]


def run_rows(records: Records) -> list[tuple[str, str]]:
    """Size and cost of the run, and the versions it used."""
    run = records.run
    rows: list[tuple[str, str]] = []
    if "parameters" in run:
        rows.append(("parameters", count(as_number(run["parameters"]))))
    rows.append(("epochs", count(float(records.history.epoch[-1]))))
    if "seconds_total" in run:
        rows.append(("training time", duration(as_number(run["seconds_total"]))))
    if "seconds" in records.evaluation:
        rows.append(("evaluation time", duration(as_number(records.evaluation["seconds"]))))
    return [*rows, *((key, plain(value)) for key, value in as_mapping(run.get("versions")).items())]


def commands(records: Records) -> list[tuple[str, str]]:
    """Commands that repeat the run, evaluate it, and write this report."""
    data = shlex.quote(plain(records.config.get("data", "DATA")))
    return [
        (
            "Train again",
            f"tightbound fit {data} --config {records.place}/config.toml --name NEW_NAME",
        ),
        ("Evaluate", f"tightbound evaluate {records.place}"),
        ("Write this report", f"tightbound report {records.place}"),
    ]


def missing(records: Records, shown: list[Shown]) -> list[tuple[str, str, str]]:
    """File, what is wrong with it or which figures wait for it, and the command that writes it."""
    waiting: dict[str, list[str]] = {}
    for entry in shown:
        if isinstance(entry, Lack):
            waiting.setdefault(entry.file, []).append(entry.title.lower())
    rows: list[tuple[str, str, str]] = []
    for file in sorted({*records.absent, *waiting}):
        why = records.absent.get(file, "holds too little")
        wait = waiting.get(file)
        without = f", so there is no figure of: {', '.join(wait)}" if wait else ""
        if file == RUN:
            without += ", so data, versions and item shape are unknown"
        rows.append((file, why + without, records.command(file)))
    return rows
