"""`tightbound reconstruct`: data through the posterior and back."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, of_a_file, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import FORMATS, write_rows
from tightbound.recipes.settings import check_data


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    parser.positional("data", "A named set (its test part), or a file (all rows in order).")
    of_a_file(parser)
    parser.option("limit", "Only the first so many items.", whole(1))
    parser.option("out", f"A file: {' '.join(FORMATS)}. [default: RUN/reconstructions.npy]")


def run(given: Namespace) -> int:
    """Reconstructs and writes."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "reconstructions.npy", FORMATS)
    check_data(given.data)
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.reconstruct_data(
            directory, given.data, limit=given.limit, scale=given.scale, header=given.header
        )
        rows = iter([found.means])
        write_rows(path, rows, n=len(found.means), items=found.items)
    record = {"file": str(path), "n": len(found.means), found.measure: found.error}
    say(record, as_json=given.json)
    return 0
