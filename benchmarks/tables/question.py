"""What is asked of contestants: a table of problems, and how answers are judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Measure:
    """One number of an answer."""

    name: str
    words: str
    better: Literal["low", "high", ""]
    """Which way is better; "" where neither is."""
    digits: int = 3
    averaged: bool = False
    """Whether its mean over the problems says something."""


@dataclass(frozen=True)
class Question:
    """One of the benchmark's tables."""

    name: str
    words: str
    asks: str
    """The function of a contestant's file that answers: it takes what was posed, and a seed."""
    problems: tuple[str, ...]
    settings: tuple[str, ...]
    """Of each problem: a rate of holes, or a way to fit."""
    seeds: Callable[[str], int]
    """How many seeds a problem has."""
    pose: Callable[[str, str, int], Any]
    """Problem, setting and seed to an object whose `seen` the contestant is given."""
    judge: Callable[[Any, Any], dict[str, float | None]]
    measures: tuple[Measure, ...]
    fresh: bool = False
    """Whether each answer has a process of its own, so that peak memory is that of one."""

    def tasks(
        self, problems: Sequence[str], settings: Sequence[str], seeds: int | None
    ) -> list[tuple[str, str, int]]:
        """All that is to be answered, seeds last; `seeds` bounds their number."""
        return [
            (problem, setting, seed)
            for problem in problems
            for setting in settings
            for seed in range(min(self.seeds(problem), seeds or self.seeds(problem)))
        ]
