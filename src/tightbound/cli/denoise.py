"""`tightbound denoise`: images before known noise, by weighted draws."""

from argparse import Namespace

from tightbound.cli.arguments import Parser, real
from tightbound.cli.restoring import Files, declare_restoring
from tightbound.core.errors import UsageError


def declare(parser: Parser) -> None:
    """What the command takes."""
    declare_restoring(parser, "Noisy images: a file (all rows), or a named set (its test part).")
    parser.option(
        "noise",
        "Of binary images the probability of a flipped pixel, else the standard deviation.",
        real,
    )
    parser.flag("degrade", "Take DATA for clean, and add the noise first: errors are then known.")


def run(given: Namespace) -> int:
    """Denoises and writes."""
    if given.noise is None:
        raise UsageError("tightbound denoise needs --noise, such as --noise 0.1")
    if given.noise <= 0:
        raise UsageError(f"expected --noise above 0, got {given.noise:g}")
    files = Files(given, "denoise")
    from tightbound.cli.compilation import kept_compilations

    with kept_compilations():
        from tightbound import runs

        found = runs.denoise_data(files.asked(given), given.noise, degrade=given.degrade)
        files.write(found, as_json=given.json)
    return 0
