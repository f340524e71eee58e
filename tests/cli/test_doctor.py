import json

from tightbound import doctor


def test_the_doctor_says_what_each_check_found(tightbound, monkeypatch):
    status, out, _ = tightbound("doctor", "--json")
    rows = json.loads(out)
    assert status == (0 if all(row["ok"] for row in rows) else 1)
    assert all(set(row) == {"name", "ok", "found", "advice"} for row in rows)
    found = [doctor.Check(**row) for row in rows]
    assert len(found) > 5
    monkeypatch.setattr(doctor, "examine", lambda: found)
    assert tightbound("doctor")[:2] == (status, f"{doctor.summary(found)}\n")
