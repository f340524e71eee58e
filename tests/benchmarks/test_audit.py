import importlib.util

import pytest

report = pytest.importorskip(
    "benchmarks.audit.report", reason="the benchmarks are not part of this copy"
)
from benchmarks.audit import Measured, on_tightbound, repeated  # noqa: E402
from benchmarks.audit.checks import CHECKS  # noqa: E402


def fail():
    raise ValueError("no | such\nthing")


MADE_UP = {
    "elbo": lambda: Measured(CHECKS[0].exact + 0.002, 0.001, "`right()`"),
    "iwae": lambda: Measured(CHECKS[1].exact + 0.1, 0.001, "`wrong()`"),
    "draws-50": fail,
}


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=check.name, marks=[pytest.mark.slow] * (check.name != "elbo"))
        for check in CHECKS
    ],
)
def test_our_numbers_are_the_exact_ones(check):
    outcome = on_tightbound.MEASUREMENTS[check.name]()
    assert report.agrees(outcome, check), (outcome, check.exact)


def test_rows_say_agrees_differs_or_raised():
    rows = list(report.measured("toy", "1.0", MADE_UP))
    assert [row.verdict for row in rows] == [
        "agrees",
        "differs",
        "raised: ValueError: no | such",
    ]
    assert rows[1].difference == pytest.approx(0.1)
    assert rows[2].reported is None
    assert rows[2].difference is None


def test_a_value_that_is_not_finite_agrees_with_nothing():
    assert not report.agrees(Measured(float("nan"), 0.0, ""), CHECKS[0])


def test_table_has_a_line_for_each_number_and_each_absent_library():
    rows = list(report.measured("toy", "1.0", MADE_UP))
    twice = [rows[0], rows[0]._replace(library="other"), *rows[1:]]
    found = report.Audit(twice, ["ghost: not installed"])
    lines = report.markdown(found).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 4
    assert len({line.count("|") for line in table}) == 1
    assert table[2].startswith("| `elbo` | the ELBO of a datum | coins | -90.3381 | toy 1.0 |")
    assert table[3].startswith("|  |  |  |  | other 1.0 | -90.3361 | 0.0010 | 0.0020 | agrees |")
    assert lines[-1] == "ghost: not installed"
    plain = report.document(found)
    assert plain["rows"][2]["difference"] == pytest.approx(0.1)
    assert plain["absent"] == found.absent


def test_peers_that_cannot_be_imported_are_said_to_be_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda root: None if root == "sbi" else root)
    monkeypatch.setitem(report.PEERS, "broken", report.Peer((), "json", "on_nothing"))
    found = report.audit(["sbi", "broken"])
    assert found.rows == []
    assert found.absent[0] == "sbi: not installed"
    assert found.absent[1].startswith("broken source tree: its import raised ModuleNotFoundError")
    assert report.markdown(found).splitlines()[-2:] == found.absent


def test_repeated_calls_give_mean_and_standard_error():
    outcome = repeated(lambda number: [1.0, 2.0, 3.0][number], 3, "f")
    assert outcome == Measured(2.0, pytest.approx((1 / 3) ** 0.5), "f")
    assert repeated(lambda _: 1.0, 1, "f").stderr == 0
