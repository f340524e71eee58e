"""`tightbound super-resolve`: small images in large, by weighted draws."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, whole
from tightbound.cli.restoring import Files, declare_restoring


def declare(parser: Parser) -> None:
    """What the command takes."""
    declare_restoring(parser, "Small images: a file (all rows); with --degrade large ones.")
    parser.option("factor", "By how much both sides become longer.", whole(2), 2)
    parser.flag("degrade", "Take DATA for large, and the means of its squares first.")


def run(given: Namespace) -> int:
    """Enlarges and writes."""
    files = Files(given, "super-resolve")
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.super_resolve_data(files.asked(given), given.factor, degrade=given.degrade)
        files.write(found, as_json=given.json)
    return 0
