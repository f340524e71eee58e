"""`tightbound classify`: the labels of data, by their probabilities."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, of_a_file, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import print_json, visible
from tightbound.cli.writers import write_table
from tightbound.recipes.settings import LARGEST_KEY, check_data

DRAWS = 100
"""Draws of z for each label without --k: those of `tb.tasks.classify`."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run of objective m2: its folder, or its name under runs/.")
    parser.positional("data", "A file (all rows in order), or a named set (its test part).")
    of_a_file(parser)
    parser.option("limit", "Only the first so many rows.", whole(1))
    parser.option("k", f"Draws of z for each label; {DRAWS} if left out.", whole(1))
    parser.option("key", "Seed of draws and binarisation.", whole(0, LARGEST_KEY), 0)
    parser.option("out", "Probabilities, one line a row: a file .csv. [default: RUN/labels.csv]")
    parser.flag("raw", "Leave probabilities as they are, not calibrated by validation data.")


def run(given: Namespace) -> int:
    """Classifies and writes."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "labels.csv", (".csv",))
    check_data(given.data)
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.classify_data(
            directory,
            given.data,
            k=given.k or DRAWS,
            key=given.key,
            limit=given.limit,
            scale=given.scale,
            header=given.header,
            raw=given.raw,
        )
        write_table(path, found.table())
        record = {"file": str(path), **found.record()}
    if given.json:
        print_json(record)
        return 0
    for name, value in record.items():
        if value != "":
            print(visible(f"{name}: {value}"))
    return 0
