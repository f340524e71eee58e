"""What columns are taken to be, rule by rule, on columns made to meet each."""

import numpy as np
import pytest

from tightbound.data.inferred import Guess, guess_numbers, guess_words, in_order

RNG = np.random.RandomState(0)
CASES = {
    "normal": (RNG.normal(size=200), "real", ""),
    "normal, all positive": (RNG.normal(10, 1, size=200), "real", ""),
    "log-normal": (np.exp(RNG.normal(size=200)), "positive", "all above 0 and skewed"),
    "skewed with zeros": (np.append(np.exp(RNG.normal(size=200)), 0), "real", ""),
    "shares": (RNG.uniform(size=200), "real", ""),
    "truth": (np.arange(20) % 2, "binary", ""),
    "two values": (np.arange(20) % 2 + 1, "binary", "two values, 1 and 2"),
    "codes": (np.arange(60) % 5, "count", "whole numbers with 5 values"),
    "counts": (RNG.poisson(20, size=200), "count", "whole numbers from"),
    "rounded": (RNG.randint(0, 10**6, size=200) // 7 * 7, "real", ""),
    "rounded, skewed": (np.exp(RNG.normal(9, 1, 200)).round(), "positive", "whole numbers above"),
    "below zero": (np.arange(60) % 5 - 2, "real", "whole numbers with 5 values"),
    "few fractions": (np.arange(60) % 4 / 2 + 0.5, "real", "numbers with 4 values"),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers(case):
    x, kind, why = CASES[case]
    holed = np.append(x.astype(float), [np.nan, np.nan])
    found = guess_numbers(holed, "a", first=False, truth=False, kept=False)
    assert found.kind == kind
    assert found.why.startswith(why)
    assert bool(found.why) == bool(why)


@pytest.mark.parametrize("x", [np.full(20, 3.0), np.full(20, np.nan)])
def test_columns_that_say_nothing_are_left_out(x):
    assert guess_numbers(x, "a", first=False, truth=False, kept=False).kind is None
    assert guess_numbers(x, "a", first=False, truth=False, kept=True).kind == "real"


@pytest.mark.parametrize(
    ("x", "name", "first", "dropped"),
    [
        (np.arange(50), "a", False, True),
        (RNG.permutation(50) + 1, "a", False, True),
        (np.arange(50) + 2, "a", False, False),
        (RNG.permutation(10**6)[:50], "a", True, True),
        (RNG.permutation(10**6)[:50], "a", False, False),
        (RNG.permutation(10**6)[:50], "user_id", False, True),
        (RNG.permutation(10**6)[:50], "userId", False, True),
        (RNG.permutation(10**6)[:50], "humid", False, False),
        (RNG.permutation(200)[:50], "a", True, False),
        (RNG.permutation(10**6)[:50] % 20, "id", True, False),
        (np.arange(9), "id", True, False),
    ],
)
def test_numbers_of_rows_are_left_out(x, name, first, dropped):
    x = x.astype(float)
    found = guess_numbers(x, name, first=first, truth=False, kept=False)
    assert (found.kind is None) == dropped
    assert guess_numbers(x, name, first=first, truth=False, kept=True).kind is not None


def test_numbers_that_stay_are_binary_by_0_and_1_alone():
    for low in (0, 1):
        x = (np.arange(20) % 2 + low).astype(float)
        found = guess_numbers(x, "a", first=False, truth=False, kept=True)
        assert found.kind == ("binary" if low == 0 else "count")


@pytest.mark.parametrize(
    ("counts", "own", "ordered", "expected"),
    [
        ({"u": 3, "v": 4}, False, False, Guess("binary")),
        ({"u": 3, "v": 4, "w": 2}, False, False, Guess("category")),
        ({"u": 3, "v": 4, "w": 2}, True, True, Guess("ordinal")),
        ({"u": 3, "v": 4, "w": 0}, True, False, Guess("category")),
        ({"u": 3}, False, False, Guess(None, "one value alone ('u')")),
        ({"u": 3, "v": 0}, True, False, Guess(None, "one value alone ('u')")),
        ({}, False, False, Guess(None, "no value is known")),
        (
            {f"r{i}": 1 for i in range(50)},
            False,
            False,
            Guess(None, "50 different texts in 50 rows: it names the rows"),
        ),
        (
            {f"r{i}": 2 for i in range(30)},
            False,
            False,
            Guess("category", "30 levels in 60 rows"),
        ),
        (
            {"20-29": 3, "30-39": 3, "40+": 3},
            False,
            False,
            Guess("category", "levels that are ranges"),
        ),
    ],
)
def test_words(counts, own, ordered, expected):
    assert guess_words(counts, own=own, ordered=ordered) == expected


def test_levels_stand_in_the_order_of_their_numbers():
    assert in_order(["10-14", "0-4", "5-9"]) == ("0-4", "5-9", "10-14")
    assert in_order(["A10", "A9"]) == ("A9", "A10")
    assert in_order(["10", "9", "-"]) == ("-", "10", "9")
    assert in_order(["b", "C", "a"]) == ("a", "b", "C")
