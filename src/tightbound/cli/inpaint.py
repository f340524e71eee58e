"""`tightbound inpaint`: hidden pixels of images, by what is expected of them."""

from argparse import Namespace

from tightbound.cli.arguments import Parser
from tightbound.cli.restoring import Files, declare_restoring
from tightbound.core.errors import UsageError

MASKS = '"left half", "right half", "upper half", "lower half", "centre", "random 50%"'


def declare(parser: Parser) -> None:
    """What the command takes."""
    declare_restoring(
        parser, "A named set (its test part), or a file: values behind the mask are scored."
    )
    parser.option(
        "mask", f"What is hidden: {MASKS}, or a file of 0 and 1 (1 is hidden), one image or all."
    )


def run(given: Namespace) -> int:
    """Fills and writes."""
    if given.mask is None:
        raise UsageError(f"tightbound inpaint needs --mask: {MASKS}, or a file of 0 and 1")
    files = Files(given, "inpaint")
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        files.write(runs.inpaint_data(files.asked(given), given.mask), as_json=given.json)
    return 0
