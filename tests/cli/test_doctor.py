import json


def test_the_doctor_says_what_each_check_found(tightbound):
    status, out, _ = tightbound("doctor", "--json")
    rows = json.loads(out)
    assert status == (0 if all(row["ok"] for row in rows) else 1)
    assert all(set(row) == {"name", "ok", "found", "advice"} for row in rows)
    assert rows[0]["name"] in tightbound("doctor")[1]
