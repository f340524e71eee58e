"""Errors that are the user's to mend: one clear line each, shown without a traceback by the CLI."""

import difflib
import operator
from collections.abc import Iterable
from typing import Any

_SHOWN = 8  # names in one error: more are not read
_LONGEST = 60  # characters of a name that are repeated


class UsageError(ValueError):
    """Wrong use or bad input: what was expected, what came, and what to do. Exit status 2."""


class NonFiniteError(RuntimeError):
    """A run met a non-finite number; names the step, the part and the items. Exit status 1."""


class Interrupted(RuntimeError):
    """A command was interrupted; says what is kept and how to go on. Exit status 130."""


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


def unknown(kind: str, name: object, choices: Iterable[str]) -> UsageError:
    """The error for a name that is none of those offered, with the names that are near.

    Args:
        kind: What is named, such as "split" or "optimizer".
        name: What came; anything that is no text has no near names.
        choices: What is offered, best first. At most eight are shown.

    Returns:
        The error, to be raised: "expected KIND to be one of ..., got ...; did you mean ...?"
    """
    offered = list(dict.fromkeys(choices))
    close = _near(name, offered) if isinstance(name, str) else []
    shown = list(dict.fromkeys([*close, *offered])) if len(offered) > _SHOWN else offered
    listed = ", ".join(shown[:_SHOWN])
    if len(shown) > _SHOWN:
        listed += f" and {len(shown) - _SHOWN} others"
    got = repr(name)
    got = got if len(got) <= _LONGEST else f"{got[:_LONGEST]}..."
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    return UsageError(f"expected {kind} to be one of {listed or 'none'}, got {got}{meant}")


def _near(name: str, offered: list[str]) -> list[str]:
    """At most three names that differ little, in case and separators not at all, or go on."""
    plain = {_plain(choice): choice for choice in reversed(offered)}
    sought = _plain(name[: 4 * _LONGEST])
    close = difflib.get_close_matches(sought, plain, n=3)
    longer = [p for p in map(_plain, offered) if len(sought) >= 3 and p.startswith(sought)]
    return [plain[p] for p in dict.fromkeys([*close, *longer])][:3]


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")
