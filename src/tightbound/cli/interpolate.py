"""`tightbound interpolate`: paths between rows through latent space."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, of_a_file, whole, wholes
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import write_table
from tightbound.core.errors import UsageError, unknown
from tightbound.core.files import write_atomic
from tightbound.recipes.settings import LARGEST_KEY, check_data

PATHS = ("linear", "spherical")
DRAWS = 1000
"""Draws of z for each row without --k: those of `tb.tasks.interpolate`."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    data = "A named set (its test part), or a file (all rows); else the run's own test part."
    parser.positional("data", data, optional=True)
    of_a_file(parser)
    parser.option("between", "Rows, from 0: a path from each to the next, as 3,17,25.", wholes(0))
    parser.option("steps", "Codes on each path, with both ends.", whole(2, 1000), 9)
    parser.option("path", "linear, or spherical: an arc about the origin.", _path, PATHS[0])
    parser.option("k", f"Draws of z for each row; {DRAWS} if left out.", whole(2))
    parser.option("key", "Seed of draws.", whole(0, LARGEST_KEY), 0)
    parser.option("out", "A file .png (pictures) or .csv. [default: RUN/paths.csv]")


def run(given: Namespace) -> int:
    """Interpolates and writes."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "paths.csv", (".png", ".csv"))
    if given.between is None or len(given.between) < 2:
        raise UsageError("expected --between with two rows or more, such as --between 3,17")
    if given.data is not None:
        check_data(given.data)
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.interpolate_rows(
            directory,
            given.data,
            given.between,
            steps=given.steps,
            path=given.path,
            k=given.k,
            key=given.key,
            scale=given.scale,
            header=given.header,
        )
        if path.suffix.lower() == ".png":
            write_atomic(path, found.png())
        else:
            write_table(path, found.table())
    say({"file": str(path), **found.record()}, as_json=given.json)
    return 0


def _path(flag: str, text: str) -> str:
    """A kind of option: the name of a path."""
    if text not in PATHS:
        raise unknown(flag, text, PATHS)
    return text
