"""How items are divided into training, validation and test parts: always stated, never silent.

Shuffles use NumPy's `RandomState`, whose stream NumPy has frozen: a split stays the same for good.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

PARTS = ("train", "validation", "test")
SEED = 0


class HoldOut(NamedTuple):
    """Validation items are taken from the end of a published training part.

    Attributes:
        words: The rule in words, with the places {train}, {validation} and {n}.
        held_out: The share of the training part that is held out.
        used: The share that is trained on, from the start; None: all that is left.
        seed: The seed of one shuffle beforehand; None: the order of the file.
    """

    words: str
    held_out: Fraction
    used: Fraction | None = None
    seed: int | None = None


class TrainValidation(NamedTuple):
    """Indices of the training and validation items, and the rule with its sizes in words."""

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    words: str


def hold_out(rule: HoldOut, n: int) -> TrainValidation:
    """Applies a rule to a training part of n items; each part gets at least one."""
    order = np.arange(n) if rule.seed is None else np.random.RandomState(rule.seed).permutation(n)
    held_out = max(1, int(n * rule.held_out))
    used = n - held_out if rule.used is None else max(1, int(n * rule.used))
    words = rule.words.format(train=f"{used:,}", validation=f"{held_out:,}", n=f"{n:,}")
    return TrainValidation(order[:used], order[n - held_out :], words)


def in_three(
    n: int, sizes: tuple[int, int, int], *, seed: int | None
) -> list[Int[np.ndarray, " part"]]:
    """Indices of three parts of the given sizes; shuffled by the seed, or in order with None."""
    order = np.arange(n) if seed is None else np.random.RandomState(seed).permutation(n)
    return np.split(order, np.cumsum(sizes)[:-1])


def tenths(n: int) -> tuple[int, int, int]:
    """Sizes of an 80/10/10 split of n items, n of at least 10."""
    return n - 2 * (n // 10), n // 10, n // 10


def sizes_in_words(parts: Sequence[Sequence[object] | np.ndarray]) -> str:
    """For example "80 train, 10 validation, 10 test"."""
    return ", ".join(f"{len(part):,} {name}" for part, name in zip(parts, PARTS, strict=True))
