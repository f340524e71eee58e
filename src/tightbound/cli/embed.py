"""`tightbound embed`: where rows lie in latent space, as numbers and on a map."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, of_a_file, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import write_arrays, write_rows, write_table
from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.recipes.settings import LARGEST_KEY, check_data

DRAWS = 1000
"""Draws of z for each row without --k: those of `tb.tasks.embed`."""
OF_A_MAP = 20
"""Of them those behind the density of a map, without --draws."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    data = "A named set (its test part), or a file (all rows); else the run's own test part."
    parser.positional("data", data, optional=True)
    of_a_file(parser)
    parser.option("limit", "Only the first so many rows.", whole(1))
    parser.option("k", f"Draws of z for each row; {DRAWS} if left out.", whole(2))
    parser.option("draws", "Keep so many of them, in the file and on the map.", whole(1))
    parser.option("key", "Seed of draws and binarisation.", whole(0, LARGEST_KEY), 0)
    parser.option("map", "A picture of the codes in two dimensions: a file .png.")
    parser.option("out", "Codes: a file .csv, .npz or .npy (means). [default: RUN/codes.csv]")


def run(given: Namespace) -> int:
    """Embeds and writes."""
    directory = find_run(given.run)
    path = out_file(given.out, directory / "codes.csv", (".csv", ".npz", ".npy"))
    if given.draws is not None and path.suffix.lower() != ".npz" and given.map is None:
        raise UsageError(f"draws are kept in a file .npz: expected --out with that, got {path}")
    picture = None if given.map is None else out_file(given.map, path, (".png",), option="--map")
    if given.data is not None:
        check_data(given.data)
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.embed_data(
            directory,
            given.data,
            k=given.k,
            draws=given.draws or OF_A_MAP,
            key=given.key,
            limit=given.limit,
            scale=given.scale,
            header=given.header,
        )
        drawing = None if picture is None else found.map_png()
        match path.suffix.lower():
            case ".csv":
                write_table(path, found.table())
            case ".npz":
                write_arrays(path, found.arrays(draws=given.draws is not None))
            case _:
                means = found.found.codes
                items = runs.ItemsOf(means.shape[1:], ())
                write_rows(path, iter([means]), n=len(means), items=items)
        record = {"file": str(path), **found.record()}
        if picture is not None and drawing is not None:
            write_atomic(picture, drawing)
            record["map"] = str(picture)
    say(record, as_json=given.json)
    return 0
