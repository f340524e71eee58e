"""Numbers that libraries report, beside their exact values on models where those are known."""

import math
from collections.abc import Callable
from typing import NamedTuple


class Measured(NamedTuple):
    """What a library reports: the mean over calls, its standard error, and the call."""

    value: float
    stderr: float
    call: str


Measurement = Callable[[], Measured]


def repeated(report: Callable[[int], float], times: int, call: str) -> Measured:
    """The mean of what `report(0)`, `report(1)`, ... give, each with draws of its own."""
    values = [float(report(number)) for number in range(times)]
    mean = sum(values) / times
    squares = sum((value - mean) ** 2 for value in values)
    return Measured(mean, math.sqrt(squares / (times * max(times - 1, 1))), call)
