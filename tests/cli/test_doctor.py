import json

import pytest

from tightbound import doctor

CHECKS = (
    "versions", "sums_of_squares", "products_of_rank_7", "triangular_systems", "precision",
    "importance_sampling", "annealing", "safetensors",
)  # fmt: skip
"""What `examine` asks. Whether each finds what is right and wrong: tests/test_doctor.py."""


@pytest.fixture
def failing(monkeypatch):
    """In place of the checks, which take seconds, others of which some fail: their names."""
    names = set()
    for name in CHECKS:
        answer = lambda *_, name=name: doctor.Check(  # noqa: E731
            name, ok=name not in names, found=f"found by {name}", advice="do this" * (name in names)
        )
        monkeypatch.setattr(doctor, name, answer)
    return names


@pytest.mark.parametrize("wrong", [(), ("precision", "triangular_systems")])
def test_the_doctor_says_what_each_check_found(wrong, failing, tightbound):
    failing.update(wrong)
    status, out, _ = tightbound("doctor", "--json")
    rows = json.loads(out)
    assert status == (1 if wrong else 0)
    assert all(set(row) == {"name", "ok", "found", "advice"} for row in rows)
    assert tuple(row["name"] for row in rows) == CHECKS
    assert {row["name"] for row in rows if not row["ok"]} == set(wrong)
    found = [doctor.Check(**row) for row in rows]
    assert tightbound("doctor")[:2] == (status, f"{doctor.summary(found)}\n")
