"""The command line: one file per command, loaded when it is called, and JAX after all checks."""

import sys

COMMANDS = {
    "fit": "Fit a model, evaluate it on the test data, and write a report.",
    "evaluate": "Estimate the log-likelihood per datum, with error bars and a verdict.",
    "report": "Write figures and report.html from a run's records.",
    "sample": "Draw from the model: means of p(x|z) at draws of the prior; x, if z is finite.",
    "reconstruct": "Pass data through the posterior's mean and the likelihood's mean.",
    "inpaint": "Fill hidden pixels of images by what is expected, with errors and a log-score.",
    "denoise": "Say how images were before known noise, by weighted draws.",
    "super-resolve": "Say how small images may look in large, by weighted draws.",
    "impute": "Fill the holes of a table: means, intervals, or several tables of draws.",
    "score": "Say how unusual rows of a table are, and which of their cells are to blame.",
    "classify": "Give each datum the probabilities of its labels, calibrated.",
    "embed": "Place data in latent space: codes with their errors, and a map.",
    "interpolate": "Go from row to row through latent space, and decode what is between.",
    "datasets": "List the named data sets, and where their files are.",
    "objectives": "List the objectives: quantity, formula, needs, direction, bias and source.",
    "doctor": "Check the installation: versions, devices, and numbers with known values.",
}
"""The commands in order; each is the file of its name, with _ for -."""

HELP = """Usage: tightbound COMMAND [ARGUMENTS] [OPTIONS]

Fit deep latent-variable models and say honestly how good the fit is.

Commands:
{commands}

Options:
  --version     Print the version.
  --help        Print this; `tightbound COMMAND --help` prints that of a command.
"""


def main() -> None:
    """Runs the command line; 0 done, 1 a failed run, 2 wrong use or bad input, 130 interrupted."""
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    # The last resort for users' errors: each kind becomes one line; faults of ours pass through.
    except (Exception, KeyboardInterrupt) as error:
        from tightbound.cli.failures import told

        status = told(error)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Runs one command with its arguments.

    Raises:
        UsageError: No such command, or arguments that it does not take.
    """
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h"):
        width = max(map(len, COMMANDS))
        lines = (f"  {command:<{width}}  {words}" for command, words in COMMANDS.items())
        print(HELP.format(commands="\n".join(lines)), end="")
        return 0
    if name == "--version":
        import tightbound

        print(f"tightbound {tightbound.__version__}")
        return 0
    if name not in COMMANDS:
        from tightbound.core.errors import unknown

        raise unknown("option" if name.startswith("-") else "command", name, COMMANDS)
    from importlib import import_module

    from tightbound.cli.arguments import Parser

    module = import_module(f"tightbound.cli.{name.replace('-', '_')}")
    parser = Parser(f"tightbound {name}", COMMANDS[name])
    module.declare(parser)
    given = parser.read(rest)
    return 0 if given is None else module.run(given)
