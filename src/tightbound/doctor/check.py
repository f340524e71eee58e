"""One question to an installation, and how its answer is judged."""

from typing import NamedTuple

import jax

ROUNDING = 1e-5
"""Largest relative error of what is computed in single precision."""


class Check(NamedTuple):
    """One question to an installation, and its answer."""

    name: str
    ok: bool
    found: str
    advice: str
    """What to do; empty where nothing is."""


def judged(name: str, error: float, limit: float, found: str, advice: str) -> Check:
    """Fails, with advice, unless the error is a number within the limit."""
    ok = bool(error <= limit)
    return Check(name, ok, found, "" if ok else advice)


def tolerance() -> float:
    """Of a relative error: accelerators round products to fewer digits, which `precision` says."""
    return ROUNDING if jax.default_backend() == "cpu" else 1e-2
