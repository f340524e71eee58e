"""Reads the tables of the benchmark from the folder that $TIGHTBOUND_DATA names.

`uci/`, `adbench/` and `mixed/` hold files as published (by UCI, in ADBench's `Classical`, in
jbrownlee/Datasets).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

import tightbound as tb

Numbers = Float[np.ndarray, "n d"]
VARIABLE = "TIGHTBOUND_DATA"

TABLES = ("abalone", "banknote", "concrete", "wine-red", "wdbc", "yacht")
"""Tables of numbers without holes."""
ADBENCH = (
    "Cardiotocography", "PageBlocks", "Pima", "Stamps", "WDBC", "Wilt", "annthyroid", "breastw",
    "cardio", "glass", "letter", "thyroid", "vertebral", "vowels", "yeast",
)  # fmt: skip
MIXED = ("horse-colic", "german", "breast-cancer", "abalone-sex")


class AbsentError(Exception):
    """A file that is not there: the problem is skipped, and this says why."""


@dataclass(frozen=True)
class _File:
    name: str
    columns: slice
    delimiter: str | None = ","
    skip: int = 0


_FILES = {
    "abalone": _File("abalone.csv", slice(1, 9)),
    "banknote": _File("banknote_authentication.csv", slice(0, 4)),
    "concrete": _File("concrete.txt", slice(0, 8), None),
    "wine-red": _File("winequality-red.csv", slice(0, 11), ";", 1),
    "wine-white": _File("winequality-white.csv", slice(0, 11), ";", 1),
    "wdbc": _File("wdbc.data", slice(2, 32)),
    "yacht": _File("yacht.txt", slice(0, 7), None),
}


def found(part: str, name: str) -> Path:
    """A file of the data folder.

    Raises:
        AbsentError: No folder was named, or the file is not in it.
    """
    if not (root := os.environ.get(VARIABLE)):
        raise AbsentError(f"${VARIABLE} names no folder")
    if not (path := Path(root) / part / name).exists():
        raise AbsentError(f"{part}/{name} is not in ${VARIABLE}")
    return path


def numbers(name: str) -> Numbers:
    """A UCI table's columns of numbers, without its target where that is a class or a grade."""
    file = _FILES[name]
    columns = range(file.columns.start, file.columns.stop)
    return np.loadtxt(
        found("uci", file.name), delimiter=file.delimiter, skiprows=file.skip, usecols=columns
    )


def outliers(name: str) -> tuple[Numbers, Bool[np.ndarray, " n"]]:
    """An ADBench table, and which rows are anomalies."""
    with np.load(found("adbench", f"{name}.npz"), allow_pickle=False) as file:
        return file["X"].astype(np.float64), file["y"] == 1


@dataclass(frozen=True)
class _Kinds:
    part: str
    file: str
    category: tuple[int, ...] = ()
    count: tuple[int, ...] = ()
    drop: tuple[int, ...] = ()


_KINDS = {
    # Column 2 names the horse; 24 to 26 are codes of lesions, each of four numbers in one.
    "horse-colic": _Kinds(
        "mixed",
        "horse-colic.csv",
        category=(0, 1, *range(6, 15), 16, 17, 20, 22, 23, 27),
        drop=(2, 24, 25, 26),
    ),
    "german": _Kinds("mixed", "german.csv", category=(20,), count=(1, 4, 7, 10, 12, 15, 17)),
    "breast-cancer": _Kinds("mixed", "breast-cancer.csv", category=(5,)),
    "abalone-sex": _Kinds("uci", "abalone.csv", category=(0,)),
}


def mixed(name: str) -> "tuple[Numbers, tb.data.Schema]":
    """A table with levels, as tightbound reads it; codes and counts as its `.names` file says."""
    kinds = _KINDS[name]
    items = tb.data.load_items(
        found(kinds.part, kinds.file),
        category=_names(kinds.category),
        count=_names(kinds.count),
        drop=_names(kinds.drop),
    )
    assert items.schema is not None
    return np.asarray(items.x, np.float64), items.schema


def _names(columns: tuple[int, ...]) -> list[str]:
    """Columns of a file without a header are called by their numbers."""
    return [str(column) for column in columns]
