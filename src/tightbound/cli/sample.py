"""`tightbound sample`: what a fitted model makes of draws of its prior, or of given values."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import FORMATS, write_rows
from tightbound.core.calls import shortened
from tightbound.core.errors import UsageError
from tightbound.recipes.settings import LARGEST_KEY

CHUNK = 1000
"""Items in memory at once."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    parser.option("n", "How many.", whole(1), 100)
    parser.repeated("given", "Draws of x given COLUMN=VALUE, or label=Y; may be repeated.")
    parser.option(
        "k", "Draws of z for each hundred draws given values; 1000 if left out.", whole(1)
    )
    parser.option("key", "Seed.", whole(0, LARGEST_KEY), 0)
    parser.option("out", f"A file: {' '.join(FORMATS)}. [default: RUN/samples.npy]")


def run(given: Namespace) -> int:
    """Draws in chunks and writes them one after another."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "samples.npy", FORMATS)
    cells = _cells(given.given)
    if given.k is not None and not cells:
        raise UsageError("--k is for draws given values: give some by --given, or leave it out")
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        opened = runs.open_run(directory)
        record = {"file": str(path), "n": given.n}
        if cells:
            found = runs.conditional_rows(opened, cells, n=given.n, k=given.k, key=given.key)
            chunks, items = iter([found.rows]), runs.written_items(directory, opened, drawn=True)
            record |= found.record()
        else:
            chunks = runs.sample_chunks(opened.run, given.n, given.key, chunk=CHUNK)
            items = runs.written_items(directory, opened)
        write_rows(path, chunks, n=given.n, items=items)
    say(record, as_json=given.json)
    return 0


def _cells(texts: list[str]) -> dict[str, str]:
    """What is given, by name.

    Raises:
        UsageError: A text without "=", or a name that is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"expected --given as COLUMN=VALUE, got {shortened(text)}")
        if name in found:
            raise UsageError(f"expected --given with each column once, got {shortened(name)} twice")
        found[name] = value
    return found
