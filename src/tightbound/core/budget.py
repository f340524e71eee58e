"""How much an evaluation may cost: evaluations of the density and its gradient, or seconds."""

import math
import re
import time
from typing import Any, NamedTuple

from tightbound.core.calls import shortened
from tightbound.core.errors import UsageError, is_whole

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*")


def as_budget(given: Any, name: str = "budget=") -> int | str:
    """A budget in one form: a whole number of evaluations, or a time such as "5 min".

    Raises:
        UsageError: Neither.
    """
    if is_whole(given) and int(given) > 0:
        return int(given)
    found = TIME.fullmatch(given) if isinstance(given, str) else None
    if found is None or float(found[1]) <= 0:
        raise UsageError(
            f"expected {name} as a whole number of evaluations of the density and its gradient, or "
            f'as text such as "30 s", "5 min" or "2 h", got {shortened(repr(given), quoted=False)}'
        )
    return f"{found[1]} {found[2]}"


class Budget(NamedTuple):
    """What may be spent, from `began` on."""

    evaluations: float
    seconds: float
    began: float

    @staticmethod
    def of(given: int | str | None, default: int) -> "Budget":
        """A budget from a number of evaluations, or from text such as "30 s", "5 min", "2 h".

        Raises:
            UsageError: Neither.
        """
        began = time.perf_counter()
        known = as_budget(default if given is None else given)
        if isinstance(known, int):
            return Budget(known, math.inf, began)
        number, unit = known.split()
        return Budget(math.inf, float(number) * UNITS[unit], began)

    def allows(self, cost: int, more: int = 0) -> bool:
        """Whether so much more may be spent after `cost`, if time goes on as it did."""
        spent = time.perf_counter() - self.began
        return cost + more <= self.evaluations and spent * (1 + more / max(cost, 1)) <= self.seconds

    def part(self, cost: int, parts: int) -> "Budget":
        """An equal part of what is left after `cost`, of so many."""
        now = time.perf_counter()
        left = max(self.seconds - (now - self.began), 0.0)
        return Budget(max(self.evaluations - cost, 0) / parts, left / parts, now)
