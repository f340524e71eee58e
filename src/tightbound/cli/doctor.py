"""`tightbound doctor`: whether this installation gives right numbers."""

from argparse import Namespace

from tightbound.cli.arguments import Parser
from tightbound.cli.output import print_json


def declare(parser: Parser) -> None:
    """What the command takes: nothing of its own."""
    del parser


def run(given: Namespace) -> int:
    """Prints what each check found; status 1 if one failed."""
    from tightbound import doctor

    checks = doctor.examine()
    if given.json:
        print_json([check._asdict() for check in checks])
    else:
        print(doctor.summary(checks))
    return 0 if all(check.ok for check in checks) else 1
