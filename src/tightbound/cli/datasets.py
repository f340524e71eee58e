"""`tightbound datasets`: the named data sets."""

from argparse import Namespace

from tightbound.cli.arguments import Parser
from tightbound.cli.output import print_json, print_table


def declare(parser: Parser) -> None:
    """What the command takes: nothing of its own."""
    del parser


def run(given: Namespace) -> int:
    """Prints the table."""
    from tightbound import data

    rows = [{**entry._asdict(), "splits": ", ".join(entry.splits)} for entry in data.names()]
    print_json(rows) if given.json else print_table(rows)
    return 0
