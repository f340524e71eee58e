"""How well hidden cells of a table were foretold: a line a column, beside filling by the column."""

from collections.abc import Mapping
from typing import Any

from tightbound.report.records import Records
from tightbound.report.table import MOST_COLUMNS, TableColumn, table_columns
from tightbound.report.text import count, number, percent
from tightbound.report.values import as_mapping, as_number, as_sequence

NUMBERS = ["column", "cells", "RMSE", "by the mean", "RMSE / mean's", "in 95 % intervals"]
LEVELS = ["column", "cells", "right", "by the mode", "log-score, nats", "by frequencies"]


def imputation_rows(records: Records) -> tuple[list[list[str]], list[list[str]]]:
    """Lines of columns of numbers, and of columns of levels; of the first 30 columns."""
    columns = table_columns(records)
    numbers, levels = [], []
    for found in _entries(records):
        place = as_number(found.get("place"))
        if not 0 <= place < min(len(columns), MOST_COLUMNS) or not as_number(found["cells"]) > 0:
            continue
        column = columns[int(place)]
        if "accuracy" in found:
            levels.append(_levels(column, found))
        else:
            numbers.append(_numbers(column, found))
    return numbers, levels


def imputation_words(records: Records) -> str:
    """What was done, in words; why nothing was, where the model could not; else empty."""
    if why := records.about_table.get("no_imputation"):
        return f"Hidden cells were not foretold: {why}"
    found = as_mapping(records.about_table.get("imputation"))
    if not found:
        return ""
    n, rounds = (as_number(found.get(name)) for name in ("rows", "rounds"))
    more = len(table_columns(records)) - MOST_COLUMNS
    shown = f" The first {MOST_COLUMNS} columns are shown, {more} more are not." if more > 0 else ""
    return (
        f"Every known cell of {count(n)} test rows was hidden once, with one in {count(rounds)} of "
        "its row, and foretold from the rest. A number's root mean square error stands beside that "
        "of filling with the training mean; below 1, the other columns help. Of levels the share "
        "that is right stands beside that of the most frequent level, and the mean log-probability "
        f"of what was hidden beside that of the training frequencies; larger is better.{shown}"
    )


def _entries(records: Records) -> list[Mapping[str, Any]]:
    imputation = as_mapping(records.about_table.get("imputation"))
    entries = map(as_mapping, as_sequence(imputation.get("columns")))
    return [entry for entry in entries if "cells" in entry]


def _numbers(column: TableColumn, found: Mapping[str, Any]) -> list[str]:
    rmse, by_mean = (as_number(found.get(name)) for name in ("rmse", "rmse_of_mean"))
    unit = f" {column.unit}" if column.unit else ""
    return [
        column.name,
        count(as_number(found["cells"])),
        f"{_figure(rmse)}{unit}",
        f"{_figure(by_mean)}{unit}",
        number(rmse / by_mean, 2) if by_mean > 0 else "",
        percent(as_number(found.get("coverage"))),
    ]


def _levels(column: TableColumn, found: Mapping[str, Any]) -> list[str]:
    return [
        column.name,
        count(as_number(found["cells"])),
        percent(as_number(found.get("accuracy"))),
        percent(as_number(found.get("accuracy_of_mode"))),
        number(as_number(found.get("log_score"))),
        number(as_number(found.get("log_score_of_frequencies"))),
    ]


def _figure(value: float) -> str:
    """Three digits, in whatever unit."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
