"""`tightbound evaluate`: log-likelihoods of a run's data, or of others."""

from argparse import Namespace
from pathlib import Path

from tightbound.cli.arguments import Parser, budget, of_a_file, whole, wholes
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import show_run, visible
from tightbound.cli.writers import write_table
from tightbound.core.calls import LARGEST
from tightbound.core.errors import Interrupted, UsageError
from tightbound.core.names import PARTS, check_name
from tightbound.recipes.settings import LARGEST_KEY, check_data

DRAWS = 5000
"""Draws per datum without --k: those of `tb.evaluate`."""


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    parser.option(
        "k",
        f"Draws per datum, alone; if left out {DRAWS}, and the ladder corrects what they miss.",
        whole(1),
    )
    parser.option(
        "budget",
        "What the ladder may cost for a seed: 200000 evaluations, '30 s' ...",
        budget,
    )
    parser.option("key", "Seed of draws and binarisation.", whole(0, LARGEST_KEY), 0)
    parser.option("split", "Part of the data: train, validation or test. [default: test]")
    parser.option("data", "Other data in its place: a file, all rows in order, or a named set.")
    of_a_file(parser)
    parser.option("limit", "Only the first so many items.", whole(1))
    parser.option(
        "temperatures",
        "Also by annealed importance sampling, with so many temperatures.",
        whole(1, LARGEST),
    )
    parser.option("chains", "Annealed chains per datum.", whole(1), 16)
    parser.option("bounds_at", "Also the bounds of so many draws, such as 64,128.", wholes(1))
    parser.option("out", "Also the numbers of each datum, with its row's name: a file .csv.")
    parser.flag("overwrite", "Evaluate anew what has been answered already.")


def run(given: Namespace) -> int:
    """Evaluates, and writes the report anew."""
    directory = find_run(given.run)
    table = None if given.out is None else out_file(given.out, Path(given.out), (".csv",))
    if given.data is not None:
        if given.split is not None:
            raise UsageError("--split is a part of the run's own data: leave it out with --data")
        check_data(given.data)
    elif given.scale is not None or given.header is not None:
        raise UsageError("--scale and --header say how the file of --data is read: name one")
    split = "test" if given.split is None else given.split
    check_name("split", split, PARTS)
    further = () if given.bounds_at is None else given.bounds_at
    draws = DRAWS if given.k is None else given.k
    if max(further, default=1) > draws:
        raise UsageError(f"expected --bounds-at up to --k {draws}, got {max(further)}")
    if given.budget is not None and (given.k is not None or given.temperatures is not None):
        raise UsageError(
            "--budget is for the ladder, which --k and --temperatures leave out: give it without"
        )
    from tightbound.cli.compilation import kept_compilations

    try:
        with kept_compilations():
            from tightbound import runs
            from tightbound.report import json_records, write_report

            json_records(directory)  # what the report cannot read is refused before the work
            answer = runs.evaluate_run(
                directory,
                k=given.k,
                key=given.key,
                split=split,
                data=given.data,
                limit=given.limit,
                scale=given.scale,
                header=given.header,
                temperatures=given.temperatures,
                chains=given.chains,
                bounds_at=further,
                budget=given.budget,
                overwrite=given.overwrite,
            )
            if table is not None:
                write_table(table, runs.per_datum(answer))
            page = write_report(directory)
            if answer.known and not given.json:
                place = visible(str(answer.path))
                print(f"{place} has the answer already; --overwrite evaluates anew")
            show_run(directory, page, as_json=given.json, evaluation=answer.record)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; the same command goes on from the batches that are done"
        ) from None
    return 0
