"""`tightbound impute`: a table again, with its holes filled."""

from argparse import Namespace
from pathlib import Path

from tightbound.cli.arguments import Parser, real, whole, yes_or_no
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import write_table
from tightbound.core.errors import UsageError

SUFFIXES = (".csv", ".tsv", ".data", ".txt", ".parquet")
LEAST = 200
"""Draws behind the intervals, however few tables are asked for."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run of a table: its folder, or its name under runs/.")
    parser.positional("data", "A file with the run's columns: holes in it are filled.")
    parser.option("header", "Whether its first line names the columns: yes or no.", yes_or_no)
    parser.option("out", "The filled table, of the file's suffix. [default: FILE-filled.csv]")
    parser.option("draws", "Write so many tables besides, each of draws: OUT-1 ...", whole(1))
    parser.option("cells", "A .csv: each filled cell with its interval or probability.")
    parser.option("interval", "Probability of the intervals.", real, 0.95)
    parser.option("k", "Draws of z for each row; 1000 if left out.", whole(1))


def run(given: Namespace) -> int:
    """Fills and writes."""
    if not 0 < given.interval < 1:
        raise UsageError(f"expected --interval between 0 and 1, got {given.interval:g}")
    directory = find_run(given.run)
    source = Path(given.data)
    suffix = source.suffix.lower()
    if suffix == ".json":
        raise UsageError(
            f"{given.data} holds sequences, and tables alone are filled here: in Python "
            "tb.impute(run.model, run.posterior, tb.data.load(...).train) fills sequences"
        )
    if suffix not in SUFFIXES:
        raise UsageError(
            f"expected a table to fill, a file with a suffix out of {', '.join(SUFFIXES)}, got "
            f"{given.data}"
        )
    usual = Path(f"{source.stem}-filled{source.suffix}")
    out = out_file(given.out, usual, (suffix,))
    if out.resolve() == source.resolve():
        raise UsageError("expected --out as another file than the table itself")
    cells = None if given.cells is None else out_file(given.cells, out, (".csv",))
    several = [
        out.with_name(f"{out.stem}-{number + 1}{out.suffix}") for number in range(given.draws or 0)
    ]
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        needed = int(2 / (1 - given.interval)) + 1
        filled = runs.impute_data(
            directory,
            given.data,
            draws=max(LEAST, needed, len(several)),
            level=given.interval,
            k=given.k,
            header=given.header,
            progress=False if given.json else None,
        )
        filled.write(out)
        for number, path in enumerate(several):
            filled.write(path, number)
        if cells is not None:
            write_table(cells, filled.cells)
    found = filled.imputed
    record = {
        "file": str(out),
        "n": len(found.x),
        "filled": int((~found.observed).sum()),
        "rows_with_holes": int((~found.observed.all(axis=1)).sum()),
        "rows_of_too_few_draws": int(found.unsure.sum()),
        **({"k": found.predictive.k} if filled.drawn else {}),
        "tables": len(several),
    }
    say(record | ({} if cells is None else {"cells": str(cells)}), as_json=given.json)
    return 0
