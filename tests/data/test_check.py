import time

import numpy as np
import pytest

from tightbound.core.errors import UsageError
from tightbound.core.supports import Support
from tightbound.data import check_values


@pytest.mark.parametrize(
    ("support", "value"),
    [
        ("binary", 0.5),
        ("binary", -1.0),
        ("binary", np.nan),
        ("unit", 1.0001),
        ("unit", -1e-6),
        ("unit", np.nan),
        ("positive", 0.0),
        ("positive", -1.0),
        ("positive", np.inf),
        ("positive", np.nan),
        ("real", np.nan),
        ("real", np.inf),
        ("real", -np.inf),
    ],
)
def test_names_first_bad_entry(support, value):
    x = np.ones((5000, 7), np.float32)
    x[4321, 5] = value
    x[4999, 0] = value
    place = r"pixels: row 4321, column 5 \(counted from 0\) is "
    with pytest.raises(UsageError, match=f"^{place}{np.float32(value)!s}, expected"):
        check_values(x, support, "pixels")


def test_a_support_of_ones_own_says_what_it_expects():
    even = Support("even", "an even number", lambda x: x % 2 == 0)
    assert (even, f"{even} values") == ("even", "even values")
    check_values(np.array([[0.0, 2.0], [-4.0, 6.0]]), even, "x")
    for wrong in (3.0, np.nan, np.inf):
        words = rf"row 1, column 0 .* is {wrong}, expected an even number"
        with pytest.raises(UsageError, match=words):
            check_values(np.array([[0.0, 2.0], [wrong, 6.0]]), even, "x")
    # Infinities are outside, whatever its look at them says.
    with pytest.raises(UsageError, match="is inf, expected any"):
        check_values(np.array([[np.inf]]), Support("any", "any", lambda x: x == x), "x")


def test_first_in_reading_order():
    x = np.zeros((3, 4))
    x[1, 3] = x[2, 0] = 9
    with pytest.raises(UsageError, match="row 1, column 3"):
        check_values(x, "unit", "x")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_accepts_what_is_inside(dtype):
    x = np.array([[0, 1], [1, 0]], dtype)
    for support in ("binary", "unit", "real"):
        check_values(x, support, "x")
    check_values(np.array([[0.25, 1.0]]), "unit", "x")
    check_values(np.array([[1e-30, 17.0]]), "positive", "x")
    check_values(np.array([[-1e30, 17.0]]), "real", "x")


@pytest.mark.parametrize("shape", [(4,), ()])
def test_refuses_wrong_rank(shape):
    with pytest.raises(UsageError, match=r"expected shape \(n, d\), got \("):
        check_values(np.zeros(shape), "real", "x")


def test_columns_of_shaped_items_count_row_by_row():
    x = np.zeros((2, 3, 4))
    check_values(x, "real", "x")
    x[1, 2, 1] = np.inf
    with pytest.raises(UsageError, match="row 1, column 9"):
        check_values(x, "real", "x")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_refuses_empty(shape):
    with pytest.raises(UsageError, match="at least one row and one column"):
        check_values(np.zeros(shape), "real", "x")


@pytest.mark.parametrize("x", [np.array([["a"]]), np.array([[None]]), np.array([[1j]])])
def test_refuses_what_is_no_real_number(x):
    with pytest.raises(UsageError, match="x: expected real numbers, got an array of type"):
        check_values(x, "real", "x")


def test_refuses_unknown_support():
    with pytest.raises(UsageError, match="binary, unit, positive, real, count, got 'simplex'"):
        check_values(np.ones((1, 1)), "simplex", "x")


def test_is_fast_on_the_size_of_mnist():
    x = np.ones((60_000, 784), np.float32)
    start = time.perf_counter()
    check_values(x, "binary", "x")
    assert time.perf_counter() - start < 2
