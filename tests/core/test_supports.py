"""Supports of single columns and of tables: what lies in them, and what they say."""

import numpy as np
import pytest

from tightbound.core.supports import (
    BINARY,
    COUNT,
    REAL,
    TableSupport,
    interval,
    lattice,
    levels,
)
from tightbound.data import check_values

ODD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize(
    ("support", "inside", "outside"),
    [
        (COUNT, [0, 3, 1e6], [-1, 0.5]),
        (levels(3), [0, 1, 2], [3, -1, 0.5]),
        (interval(-2.0, 5.0), [-2, 0, 5], [-2.1, 5.1]),
        (interval(0.0, 1.0, 0.05), [-0.05, 1.05], [-0.06, 1.06]),
        (interval(3.0, np.inf), [3, 1e30], [2.9]),
        (lattice(0.1, None, None), np.float32([0.1, -0.3, 1234.5, 0]), [0.05, 1234.56]),
        (lattice(0.5, 1.0, 3.0), [1, 1.5, 3], [0.5, 3.5, 1.2]),
    ],
)
def test_a_support_holds_its_values(support, inside, outside):
    assert support.inside(np.array(inside)).all()
    assert not support.inside(np.array([*outside, *ODD], np.float64)).any()


def test_a_table_has_a_support_for_each_column():
    support = TableSupport([REAL, levels(2), levels(2), BINARY], ("a", "b", "c", "d"))
    assert str(support) == "real, 2 columns 2 levels, binary"
    assert not support.discrete
    rows = np.array([[0.5, 1, 0, 1], [0.5, 2, 0, 0.5]])
    np.testing.assert_array_equal(support.inside(rows), [[True] * 4, [True, False, True, False]])
    assert support.at(1).expected == "a whole number from 0 to 1, the number of one of 2 levels"
    with pytest.raises(ValueError, match="row 1 .*, column 'b' is 2.0, expected a whole number"):
        check_values(rows, support, "x")
    rows[1, 1] = np.nan
    with pytest.raises(ValueError, match="column 'd' is 0.5, expected 0 or 1"):
        check_values(rows, support, "x", holes=True)


def test_columns_that_are_alike_have_the_name_of_one():
    support = TableSupport([COUNT, COUNT], ("a", "b"))
    assert support == "count"
    assert support.discrete
