"""Errors that are the user's to mend: one clear line each, shown without a traceback by the CLI."""


class UsageError(ValueError):
    """Wrong use or bad input: what was expected, what came, and what to do. Exit status 2."""


class NonFiniteError(RuntimeError):
    """A run met a non-finite number; names the step, the part and the items. Exit status 1."""


class Interrupted(RuntimeError):
    """A command was interrupted; says what is kept and how to go on. Exit status 130."""


def at_least(least: int, **numbers: int) -> None:
    """Raises a `UsageError` naming the first number that is too small."""
    for name, number in numbers.items():
        if number < least:
            raise UsageError(f"expected {name} >= {least}, got {number}")
