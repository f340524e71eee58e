"""What is said of columns: names that are near, contradictions, orders and limits."""

import pytest

from tightbound.core.errors import UsageError
from tightbound.data import Column, Schema
from tightbound.data.declared import declared


def test_nothing_said():
    for nothing in ({}, {"drop": [], "label": None, "schema": None, "ordinal": {}}):
        assert not declared(nothing)


def test_all_forms():
    said = declared(
        {
            "category": "a",
            "count": ("b", "c"),
            "ordinal": {"d": ["S", "M"], "e": None},
            "bounded": {"f": (0, 100), "g": None},
            "drop": ["h"],
            "label": "y",
        }
    )
    assert said.kinds == {
        "a": "category",
        "b": "count",
        "c": "count",
        "d": "ordinal",
        "e": "ordinal",
        "f": "bounded",
        "g": "bounded",
    }
    assert said.orders == {"d": ("S", "M")}
    assert said.limits == {"f": (0.0, 100.0)}
    assert set(said.texts) == {"a", "d", "e", "y"}
    said.check_names("abcdefghy", "x")
    with pytest.raises(UsageError, match="expected a column to be one of .*, got 'h'"):
        said.check_names("abcdefgy", "x")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"category": ["a"], "count": ["a"]}, "'a' is said to be category and count"),
        ({"category": ["a"], "drop": ["a"]}, "'a' is said to be drop and category"),
        ({"real": ["a"], "label": "a"}, "'a' is said to be label and real"),
        ({"drop": ["a"], "label": "a"}, "'a' is said to be drop and label"),
        ({"category": [1]}, "expected category as names of columns, got"),
        ({"label": ["a", "b"]}, "expected label as the name of one column"),
        ({"ordinal": {"a": ["S", "S"]}}, "two levels or more in their order"),
        ({"ordinal": {"a": "SML"}}, "two levels or more in their order"),
        ({"bounded": {"a": (1, 0)}}, "expected limits low < high"),
        ({"bounded": {"a": 3}}, "expected limits low < high"),
        ({"schema": Schema((Column("a", "real"),)), "drop": ["b"]}, "leave drop out"),
        ({"schema": "no.toml"}, "expected a schema at no.toml"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        declared(given)
