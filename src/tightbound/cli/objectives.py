"""`tightbound objectives`: what can be optimised, and what is known of each."""

from argparse import Namespace

from tightbound.cli.arguments import Parser
from tightbound.cli.output import print_blocks, print_json


def declare(parser: Parser) -> None:
    """What the command takes: nothing of its own."""
    del parser


def run(given: Namespace) -> int:
    """Prints one paragraph for each."""
    from tightbound.objectives.registry import all_objectives

    rows = [
        {
            "name": entry.name,
            "call": entry.call,
            "quantity": entry.summary,
            "formula": entry.formula,
            "needs": needs.words() if needs else "what its objectives need",
            "direction": entry.direction,
            "bias": entry.bias,
            "reference": entry.reference,
        }
        for entry in all_objectives().values()
        for needs in [entry.about.requires]
    ]
    print_json(rows) if given.json else print_blocks(rows)
    return 0
