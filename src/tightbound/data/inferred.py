"""What a column is taken to be where nobody says it.

Words: two levels are binary, more a category (ordinal where the source says that their order means
something); texts of which nine in ten differ name the rows and are left out.

Numbers: 0 and 1 alone, or two values, are binary. Whole numbers from 0 are counts up to 1,000, and
beyond measures that were rounded; few of them may be codes of levels, which is said. Numbers above
0 whose logarithms are much less skewed than they are positive; all others are real. Whole numbers
that number the rows are left out: 1, 2, 3, ... in any order, or all different over a wide range in
a first column or one whose name says so.

A column with one value alone, or none, is left out.
"""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from tightbound.data.schema import Kind

FEW = 10
"""Values up to which whole numbers may be codes."""
_LARGEST_COUNT = 1000
_LOOKED_AT = 10_000  # values from which skewness is found
_LEAST_ROWS = 10  # from which identifiers are recognised
_SKEWED = 1.0
_NUMBER = re.compile(r"\D{0,2}(\d+(?:\.\d+)?)")
_RANGE = re.compile(r"\d+(\.\d+)?\s*(-|–|to|\.\.)\s*\d+(\.\d+)?|[<>]=?\s*\d+(\.\d+)?|\d+\s*\+")
_IDENTIFIES = re.compile(r"(?i:(^|[_\W])(id|uuid|guid|index|idx|key|nr|no|number)$)|[a-z]Id$")


class Guess(NamedTuple):
    """A kind, or None for a column that is left out.

    Attributes:
        kind: The kind.
        why: What it was guessed from, or why the column is left out; "" where no doubt is left.
    """

    kind: Kind | None
    why: str = ""


def guess_words(counts: dict[str, int], *, own: bool, ordered: bool) -> Guess:
    """What a column of words is.

    Args:
        counts: How often each level is there.
        own: Whether the source lists the levels itself.
        ordered: Whether it says that their order means something.
    """
    used = [level for level, count in counts.items() if count]
    known = sum(counts.values())
    if len(used) < 2:
        return Guess(None, f"one value alone ({used[0][:40]!r})" if used else "no value is known")
    if ordered:
        return Guess("ordinal")
    if len(counts) == 2:
        return Guess("binary")
    if not own and known >= _LEAST_ROWS and len(used) >= 0.9 * known:
        return Guess(None, f"{len(used)} different texts in {known} rows: it names the rows")
    if not own and len(used) > max(FEW, known / 4):
        return Guess("category", f"{len(used)} levels in {known} rows")
    if len(used) > 2 and all(_RANGE.fullmatch(level) for level in used):
        return Guess("category", "levels that are ranges")
    return Guess("category")


def guess_numbers(
    x: Float64[np.ndarray, " n"], name: str, *, first: bool, truth: bool, kept: bool
) -> Guess:
    """What a column of numbers is.

    Args:
        x: The numbers; NaN where they are missing.
        name: The column's name.
        first: Whether it is the first column.
        truth: Whether the source has it as true and false.
        kept: Whether the numbers are to stay as they are and none is left out.
    """
    known = x[np.isfinite(x)]
    if not len(known) or known.min() == known.max():
        why = f"one value alone ({known[0]:g})" if len(known) else "no value is known"
        return Guess("real" if kept else None, why)
    values = _few(known)
    if truth or (values is not None and np.array_equal(values, (0, 1))):
        return Guess("binary")
    whole = bool((known % 1 == 0).all())
    if values is not None and len(values) == 2 and not kept and len(known) >= _LEAST_ROWS:
        return Guess("binary", f"two values, {values[0]:g} and {values[1]:g}")
    if whole:
        numbering = None if kept else _numbering(known, name, first=first)
        return Guess(None, numbering) if numbering else _whole(known, values)
    if known.min() > 0 and _skewed(known):
        return Guess("positive", "all above 0 and skewed")
    if values is not None and len(known) >= 5 * len(values):
        return Guess("real", f"numbers with {len(values)} values")
    return Guess("real")


def _whole(known: np.ndarray, values: np.ndarray | None) -> Guess:
    few = "" if values is None else f" with {len(values)} values"
    if known.min() < 0:
        return Guess("real", f"whole numbers{few}" if few else "")
    if known.max() <= _LARGEST_COUNT:
        return Guess("count", f"whole numbers{few or f' from {known.min():g} to {known.max():g}'}")
    if known.min() > 0 and _skewed(known):
        return Guess("positive", "whole numbers above 0 and skewed")
    return Guess("real", f"whole numbers{few}" if few else "")


def _numbering(known: np.ndarray, name: str, *, first: bool) -> str | None:
    """Why whole numbers name the rows, if they do."""
    n = len(known)
    if n < _LEAST_ROWS:
        return None
    distinct = np.unique(known)
    if len(distinct) == n and distinct[-1] - distinct[0] == n - 1 and distinct[0] in (0, 1):
        return "it counts the rows"
    said = bool(_IDENTIFIES.search(name.strip()))
    wide = distinct[-1] - distinct[0] >= 100 * n
    if (said and len(distinct) >= 0.9 * n) or (first and wide and len(distinct) == n):
        return f"{len(distinct)} different whole numbers in {n} rows: it names the rows"
    return None


def _few(known: np.ndarray) -> np.ndarray | None:
    """The different values in rising order, if they are few."""
    if len(np.unique(known[:1000])) > FEW:
        return None
    values = np.unique(known)
    return values if len(values) <= FEW else None


def _skewed(known: np.ndarray) -> bool:
    """Whether the logarithms of positive numbers are much nearer to a normal than they are."""
    some = known[:: max(1, len(known) // _LOOKED_AT)]
    skew = _skewness(some)
    return skew > _SKEWED and abs(_skewness(np.log(some))) < skew / 2


def _skewness(x: np.ndarray) -> float:
    away = (x - x.mean()) / (np.abs(x - x.mean()).max() or 1.0)
    spread = np.mean(away**2)
    return float(np.mean(away**3) / spread**1.5) if spread > 0 else 0.0


def in_order(levels: list[str]) -> tuple[str, ...]:
    """Levels by the numbers that they begin with, if all do; else as words."""
    numbers = [_NUMBER.match(level) for level in levels]
    if all(numbers):
        found = {level: float(m[1]) for level, m in zip(levels, numbers, strict=True) if m}
        return tuple(sorted(levels, key=lambda level: (found[level], level)))
    return tuple(sorted(levels, key=lambda level: (level.casefold(), level)))


def begin_with_numbers(levels: list[str]) -> bool:
    """Whether levels have an order by the numbers that they begin with."""
    found = [_RANGE.fullmatch(level) or re.fullmatch(r"\d+(\.\d+)?", level) for level in levels]
    return all(found)
