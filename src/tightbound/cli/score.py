"""`tightbound score`: how unusual rows of a table are, and which of their cells are to blame."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, of_a_file, real, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import print_json, visible
from tightbound.cli.writers import write_table
from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.recipes.settings import LARGEST_KEY, check_data

DRAWS = 1000
"""Draws of z for each score without --k: those of `tb.score`."""
SHOWN = 5
"""Rows of which lines tell, the least usual first."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    parser.positional("data", "A file (all rows in order), or a named set (its test part).")
    of_a_file(parser)
    parser.option("limit", "Only the first so many rows.", whole(1))
    parser.option("k", f"Draws of z for each score; {DRAWS} if left out.", whole(1))
    parser.option("blame", "P-value up to which a row's cells are looked at.", _share, 0.05)
    parser.option("key", "Seed of draws and binarisation.", whole(0, LARGEST_KEY), 0)
    parser.option("picture", "The least usual pictures and their pixels to blame: a file .png.")
    parser.option("out", "The scores, one line a row: a file .csv. [default: RUN/scores.csv]")


def run(given: Namespace) -> int:
    """Scores and writes."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "scores.csv", (".csv",))
    picture = given.picture
    picture = None if picture is None else out_file(picture, path, (".png",), option="--picture")
    check_data(given.data)
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.score_data(
            directory,
            given.data,
            k=given.k,
            blame=given.blame,
            key=given.key,
            limit=given.limit,
            scale=given.scale,
            header=given.header,
            pictured=picture is not None,
        )
        drawn = None if picture is None else runs.score_png(found)
        write_table(path, runs.score_table(found))
        record = {"file": str(path), **runs.score_record(found)}
        if picture is not None and drawn is not None:
            write_atomic(picture, drawn)
            record["picture"] = str(picture)
        elif picture is not None:
            record["picture"] = f"none: no p-value is up to {given.blame:g}, see --blame"
    if given.json:
        print_json(record)
        return 0
    for name, value in record.items():
        if value != "":
            print(visible(f"{name}: {value}"))
    for line in runs.score_lines(found, SHOWN):
        print(visible(line))
    return 0


def _share(flag: str, text: str) -> float:
    """A kind of option: a number from 0 to 1."""
    number = real(flag, text)
    if not 0 <= number <= 1:
        raise UsageError(f"expected {flag} from 0 to 1, got {text}")
    return number
