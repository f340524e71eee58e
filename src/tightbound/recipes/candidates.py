"""Which settings ask for one model, and which leave the choice among several to the data."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from tightbound.core.calls import shortened
from tightbound.core.errors import UsageError, unknown

CANDIDATES = ("gaussian", "mixture", "ppca", "deep")
"""Kinds of models that a table's fit may try: the names of `tb.fit_table`."""
ALL = "all"
TABLES = (".csv", ".tsv", ".data", ".txt", ".parquet")
"""Suffixes of files that are tables, whose columns have names or at least places."""
NUMBERS = (".npy", ".npz")
"""Suffixes of files that may be tables: of these a choice is made where it is asked for."""


def candidates(text: str) -> tuple[str, ...] | None:
    """The kinds of models that a setting names; None for all of them.

    Raises:
        UsageError: A name that is not known or stands there twice, or none at all.
    """
    if text == ALL:
        return None
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in CANDIDATES:
            raise unknown("candidate", shortened(name, quoted=False), (ALL, *CANDIDATES))
    twice = [name for name in CANDIDATES if names.count(name) > 1]
    if twice:
        raise UsageError(f"expected each of candidates once, got {twice[0]} twice")
    return names


def check_candidates(text: str, data: str, evaluate_k: int | None) -> None:
    """Refuses a choice among models where there is none to make.

    Raises:
        UsageError: Unknown names, data that are no table, or draws for a model that may need none.
    """
    candidates(text)
    if PurePath(data).suffix.lower() not in (*TABLES, *NUMBERS):
        raise UsageError(
            f"candidates are fitted to tables: expected a file with a suffix out of "
            f"{', '.join((*TABLES, *NUMBERS))}, got {shortened(data)}"
        )
    if evaluate_k:
        raise UsageError(
            f"expected evaluate_k=0, or none, with candidates, got {evaluate_k}: whether anything "
            "is drawn is known when a model has been chosen; `tightbound evaluate --k` comes after"
        )


def left_open(given: Mapping[str, Any], beside: tuple[str, ...]) -> bool:
    """Whether the settings that were given leave the choice of a model open.

    Args:
        given: Settings by name, as options, a file or a preset give them.
        beside: Settings that say nothing of a model.

    Raises:
        UsageError: They name candidates and ask for one model too.
    """
    asked = [name for name, value in given.items() if value is not None and name not in beside]
    if given.get("candidates") is None:
        return not asked and PurePath(given.get("data", "")).suffix.lower() in TABLES
    if asked:
        raise UsageError(
            f"candidates leave the model to the data, and {asked[0]} is a setting of one model: "
            "leave out one of them"
        )
    return True
