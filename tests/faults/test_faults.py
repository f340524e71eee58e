"""A share of the suite of faults, in seconds; `python -m tests.faults` makes all tries."""

import re

import pytest

from tests.faults.classes import CLASSES
from tests.faults.core import Result, table, tally

pytestmark = pytest.mark.usefixtures("blank_charts")
SHARES = {
    "readers": 200,
    "records": 100,
    "damaged runs": 30,
    "kills": 6,
    "disk": 6,
    "arguments": 100,
    "hostile": 40,
}
"""Of the classes that need no other process; their setting up takes most of the time."""
SLOW = ("records", "damaged runs", "kills", "disk", "arguments", "hostile")
SEED = 20_261_101


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in SHARES]
)
def test_a_share_of_each_class_survives(name):
    faults, whole = CLASSES[name]
    # Kills and refusals are enumerated: some of them, at even distances.
    numbers = range(0, 250, 250 // SHARES[name]) if name in ("kills", "disk") else range(whole)
    found = tally(name, faults, list(numbers)[: SHARES[name]], SEED)
    assert found.tried.total() == SHARES[name]
    assert not found.failures


@pytest.mark.slow
@pytest.mark.parametrize("name", ["processes", "killed"])
def test_processes_that_meet_or_are_killed_lose_nothing(name):
    assert not tally(name, CLASSES[name][0], range(10), SEED).failures


def test_what_is_lost_is_counted_and_can_be_made_again():
    def faults():
        import contextlib

        @contextlib.contextmanager
        def prepared():
            def attempt(number, rng):
                if number == 2:
                    raise RuntimeError("ours")
                return Result("kind", bool(number), f"{rng.integers(1000)}")

            yield attempt

        return prepared()

    found = tally("toy", faults, range(4), seed=3)
    assert [(f.number, f.kind) for f in found.failures] == [(0, "kind"), (2, "raised")]
    assert "RuntimeError: ours" in found.failures[1].how
    again = tally("toy", faults, [0], seed=3)
    assert again.failures == found.failures[:1]
    assert re.search(r"\| toy \| 4 \| 2 \|\n\| all \| 4 \| 2 \|$", table([found]))
    kinds = found.as_json()["kinds"]
    assert kinds == {
        "kind": {"tried": 3, "survived": 2},
        "raised": {"tried": 1, "survived": 0},
    }
