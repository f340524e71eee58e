"""`tightbound report`: figures and the page, from a run's records."""

from argparse import Namespace

from tightbound.cli.arguments import Parser
from tightbound.cli.folders import find_run
from tightbound.cli.output import show_run


def declare(parser: Parser) -> None:
    """What the command takes."""
    parser.positional("run", "A run: its folder, or its name under runs/.")


def run(given: Namespace) -> int:
    """Writes the page."""
    directory = find_run(given.run)
    from tightbound.report import write_report

    show_run(directory, write_report(directory), as_json=given.json)
    return 0
