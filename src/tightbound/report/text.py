"""Numbers and words for people: a true minus sign, stated units, and no surprise at a NaN."""

import math
import re
from typing import Any

NOT_FINITE = "not finite"
_MINUS = "\N{MINUS SIGN}"
_NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
TONES = ("good", "warn", "bad")
"""What verdicts may be taken for, from the best to the worst."""


def number(value: float, digits: int = 2) -> str:
    """A fixed number of decimals; whatever has none is called not finite."""
    if not math.isfinite(value):
        return NOT_FINITE
    # Adding 0.0 turns a rounded -0.0 into 0.0, which would otherwise print a sign.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", _MINUS)


def count(value: int | float) -> str:
    """A whole number in groups of three digits."""
    if not math.isfinite(value):
        return NOT_FINITE
    return f"{round(value):,}".replace(",", _NARROW_SPACE).replace("-", _MINUS)


def error(value: float) -> str:
    """A standard error to two significant digits, never rounded to nothing."""
    if not math.isfinite(value):
        return NOT_FINITE
    if value == 0:
        return "0"
    digits = min(max(2, 1 - math.floor(math.log10(abs(value)))), 4)
    return number(value, digits) if abs(value) >= 10**-digits else f"< {10**-digits:.{digits}f}"


def percent(share: float) -> str:
    """A share of one as a percentage with one decimal."""
    return f"{number(100 * share, 1)} %" if math.isfinite(share) else NOT_FINITE


def duration(seconds: int | float) -> str:
    """Seconds as the two largest units."""
    if not math.isfinite(seconds):
        return NOT_FINITE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """Any recorded value in one line; booleans and lists as they stand in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if value is None:
        return "none"
    return str(value)


def terminal(value: str) -> str:
    """Text safe in a terminal table: plain minus signs, no control characters, bars escaped."""
    value = value.replace(_MINUS, "-").replace(_NARROW_SPACE, "").replace("|", "\\|")
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in value))


def tone(verdict: str) -> str:
    """The colour class of a verdict: only plain trust is good, unknown words are a warning."""
    word = verdict.strip().lower()
    if word == "trust":
        return "good"
    return "bad" if word in {"use ais", "do not trust"} else "warn"
