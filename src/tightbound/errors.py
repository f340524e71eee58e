"""Errors that are the user's to mend: one clear line each, shown without a traceback by the CLI."""

import operator
from typing import Any


class UsageError(ValueError):
    """Wrong use or bad input: what was expected, what came, and what to do. Exit status 2."""


class NonFiniteError(RuntimeError):
    """A run met a non-finite number; names the step, the part and the items. Exit status 1."""


def at_least(least: int, **numbers: Any) -> tuple[int, ...]:
    """Checks sizes, and gives them back as Python's integers, in their order.

    Integers of NumPy are whole numbers. Truth values, fractions, infinities and texts are not, even
    where Python would take them for one: `chunk=1.5` would cut draws in half.

    Raises:
        UsageError: The first size that is too small, or no whole number, is named.
    """
    for name, number in numbers.items():
        if not is_whole(number):
            raise UsageError(f"expected {name} to be a whole number >= {least}, got {number!r}")
        if number < least:
            raise UsageError(f"expected {name} >= {least}, got {number}")
    return tuple(map(int, numbers.values()))


def is_whole(number: Any) -> bool:
    """Whether it is an integer, of Python or of NumPy, and no truth value."""
    if isinstance(number, bool) or getattr(getattr(number, "dtype", None), "kind", "i") == "b":
        return False
    try:
        operator.index(number)
    except TypeError:
        return False
    return True


def plain(number: Any) -> Any:
    """A whole number as Python's integer; anything else as it is, for a check to refuse."""
    return int(number) if is_whole(number) else number
