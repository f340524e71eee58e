"""`tightbound sample`: what a fitted model makes of draws of its prior."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import FORMATS, write_rows
from tightbound.recipes.settings import LARGEST_KEY

CHUNK = 1000
"""Items in memory at once."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    parser.option("n", "How many.", whole(1), 100)
    parser.option("key", "Seed.", whole(0, LARGEST_KEY), 0)
    parser.option("out", f"A file: {' '.join(FORMATS)}. [default: RUN/samples.npy]")


def run(given: Namespace) -> int:
    """Draws in chunks and writes them one after another."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "samples.npy", FORMATS)
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        opened = runs.open_run(directory)
        chunks = runs.sample_chunks(opened.run, given.n, given.key, chunk=CHUNK)
        write_rows(path, chunks, n=given.n, items=runs.written_items(directory, opened))
    say({"file": str(path), "n": given.n}, as_json=given.json)
    return 0
