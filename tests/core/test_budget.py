"""What a budget takes for one, and when it is spent."""

import inspect
import math

import pytest

from tightbound.core import budget as budgets
from tightbound.core.budget import Budget, as_budget
from tightbound.core.errors import UsageError

# Without the run-time check of types, as users have it.
unchecked = inspect.unwrap(Budget.of)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("given", "evaluations", "seconds"),
    [
        (None, 7, math.inf),
        (1000, 1000, math.inf),
        ("30 s", math.inf, 30),
        (" 2.5min ", math.inf, 150),
        ("2h", math.inf, 7200),
    ],
)
def test_what_is_a_budget(given, evaluations, seconds):
    found = Budget.of(given, 7)
    assert (found.evaluations, found.seconds) == (evaluations, seconds)


@pytest.mark.parametrize(
    "given",
    [0, -3, 1.5, True, "soon", "30", "s", "0 s", "-1 s", "1 day", "1e3 s", [1000], math.nan],
)
def test_what_is_none(given):
    with pytest.raises(UsageError, match="expected budget= as a whole number of evaluations"):
        unchecked(given, 7)


def test_one_budget_has_one_form():
    assert as_budget(7) == 7
    assert {as_budget(text) for text in ("30s", " 30 s", "30  s ")} == {"30 s"}
    with pytest.raises(UsageError, match=r"expected --budget as .*, got 'xxx.*characters"):
        as_budget("x" * 1000, "--budget")


def test_evaluations_are_counted_with_what_is_to_come():
    budget = Budget.of(100, 7)
    assert budget.allows(100)
    assert not budget.allows(101)
    assert budget.allows(60, 40)
    assert not budget.allows(60, 41)


def test_seconds_are_forecast_from_what_has_been_done(clock):
    budget = Budget.of("10 s", 7)
    assert budget.allows(10**9, 10**9)
    clock[0] = 104.0
    # 4 seconds for 100 evaluations: 150 more take 6, and 151 more than there are left.
    assert budget.allows(100, 150)
    assert not budget.allows(100, 151)
    clock[0] = 110.5
    assert not budget.allows(0)


def test_parts_are_of_what_is_left(clock):
    by_number = Budget.of(100, 7).part(40, 3)
    assert by_number.evaluations == 20
    by_time = Budget.of("10 s", 7)
    clock[0] = 104.0
    part = by_time.part(40, 2)
    assert (part.seconds, part.began, part.evaluations) == (3.0, 104.0, math.inf)
    clock[0] = 200.0
    assert by_time.part(40, 2).seconds == 0
    assert Budget.of(100, 7).part(140, 2).evaluations == 0
