"""Sequences of different lengths as one array: padded with NaN to the longest."""

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Float, Int

from tightbound.core.errors import UsageError


def is_ragged(values: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list of sequences: its first entry has steps, and these have columns."""
    if not isinstance(values, list | tuple) or not len(values):
        return False
    first = values[0]
    if hasattr(first, "ndim"):
        return first.ndim == 2
    return isinstance(first, list | tuple) and len(first) > 0 and isinstance(first[0], list | tuple)


def padded(
    sequences: Sequence[Any], what: str, *, steps: int | None = None
) -> Float[np.ndarray, "n steps d"]:
    """Sequences of shape (their steps, d) as one array, NaN behind the end of each.

    Args:
        sequences: Arrays of two axes, or lists of steps that are lists of numbers; None is a
            missing value.
        what: What they are, for errors.
        steps: To how many steps; those of the longest if left out.

    Raises:
        UsageError: None at all, one without steps, steps of another number of columns, or what is
            no finite number: sequence, step and column are named, counted from 0.
    """
    if not len(sequences):
        raise UsageError(f"{what}: expected at least one sequence, got none")
    found = [_steps(one, f"{what}: sequence {i}") for i, one in enumerate(sequences)]
    d = found[0].shape[1]
    for i, one in enumerate(found):
        if one.shape[1] != d:
            raise UsageError(
                f"{what}: sequence {i}, step 0 (counted from 0) has {one.shape[1]} columns, "
                f"expected {d} as in sequence 0"
            )
    longest = max(map(len, found))
    shape = (len(found), longest if steps is None else steps, d)
    x = np.full(shape, np.nan, np.result_type(*found))
    for row, one in zip(x, found, strict=True):
        row[: len(one)] = one
    return x


def ended(
    x: Float[np.ndarray, "n steps d"], lengths: Any, what: str
) -> Float[np.ndarray, "n steps d"]:
    """Sequences that were padded with whatever, NaN behind the length of each.

    Raises:
        UsageError: A length that is no whole number from 1 to the steps.
    """
    n, steps = x.shape[:2]
    given = np.asarray(lengths)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise UsageError(
            f"{what}: expected lengths= as {n} whole numbers, one for each sequence, got "
            f"{given.dtype} of shape {given.shape}"
        )
    wrong = (given < 1) | (given > steps)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise UsageError(
            f"{what}: sequence {i} (counted from 0): expected a length from 1 to {steps}, got "
            f"{given[i]}"
        )
    behind = np.arange(steps) >= given[:, None]
    return np.where(behind[:, :, None], x.dtype.type(np.nan), x)


def lengths_of(x: Float[np.ndarray, "n steps d"]) -> Int[np.ndarray, " n"]:
    """How many steps come no later than the last with a known value."""
    known: np.ndarray = np.any(~np.isnan(x), axis=2)
    return np.where(known.any(axis=1), known.shape[1] - np.argmax(known[:, ::-1], axis=1), 0)


def _steps(one: Any, what: str) -> Float[np.ndarray, "steps d"]:
    """One sequence."""
    if isinstance(one, list | tuple):
        return _listed(one, what)
    x = np.asarray(one)
    if x.ndim != 2 or not x.size or x.dtype.kind not in "biuf":
        raise UsageError(
            f"{what} (counted from 0): expected numbers of shape (steps, d), got {x.dtype} of "
            f"shape {x.shape}"
        )
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if np.isinf(x).any():
        step, column = np.argwhere(np.isinf(x))[0]
        raise _no_number(what, step, column, x[step, column])
    return x


def _listed(one: Sequence[Any], what: str) -> Float[np.ndarray, "steps d"]:
    """One sequence out of lists."""
    if not len(one):
        raise UsageError(f"{what} (counted from 0) has no step")
    for t, step in enumerate(one):
        if not isinstance(step, list | tuple | np.ndarray) or not len(step):
            raise UsageError(
                f"{what}, step {t} (counted from 0): expected a list of numbers, got {step!r:.60}"
            )
        if len(step) != len(one[0]):
            raise UsageError(
                f"{what}, step {t} (counted from 0) has {len(step)} columns, expected "
                f"{len(one[0])} as in its step 0"
            )
        for column, value in enumerate(step):
            number = value is None or isinstance(value, numbers.Real | np.bool_)
            if not number or (value is not None and math.isinf(value)):
                raise _no_number(what, t, column, value)
    return np.array(one, np.float64)


def _no_number(what: str, step: Any, column: Any, value: Any) -> UsageError:
    return UsageError(
        f"{what}, step {step}, column {column} (counted from 0) is {str(value)[:40]!r}, expected "
        "a finite number"
    )
