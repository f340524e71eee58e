import json

import numpy as np
import pytest

from tightbound.data import load_arrays


@pytest.fixture
def fitted(tightbound, tmp_path):
    arguments = ("--latent", "3", "--hidden", "8", "--k", "2", "--epochs", "1", "--evaluate-k", "0")
    assert tightbound("fit", "digits", *arguments, "--name", "r")[0] == 0
    return tmp_path / "runs" / "r"


def test_sisters_of_fit(tightbound, fitted):
    flags = ("--k", "40", "--split", "validation", "--temperatures", "2", "--chains", "2")
    status, out, _ = tightbound("evaluate", fitted, *flags, "--json")
    assert status == 0
    ev = json.loads(out.splitlines()[-1])["evaluation"]
    assert ev["seeds"][0]["annealed"]["direction"] == "lower (stochastic)"
    assert sum(ev["seeds"][0]["verdicts"].values()) == 200
    assert "annealed importance sampling is" in ev["reason"]
    (path,) = (fitted / "evaluations").iterdir()  # and no batches that are not needed any more
    assert path.name.startswith("validation-k40-key0-ais2x2-")
    assert load_arrays(path)["annealed_log_evidence"].shape == (1, 200)
    assert (ev["split"], ev["k"], ev["n"]) == ("validation", 40, 200)
    assert ev["seeds"][0]["bound_by_k"]["40"] == pytest.approx(ev["mean"], abs=1e-4)

    status, out, _ = tightbound("sample", fitted, "--n", "7", "--json")
    drawn = np.load(json.loads(out)["file"], allow_pickle=False)
    assert drawn.shape == (7, 64)
    assert np.all((drawn > 0) & (drawn < 1))

    status, out, _ = tightbound("reconstruct", fitted, "digits", "--json")
    line = json.loads(out)
    assert np.load(line["file"], allow_pickle=False).shape == (300, 64)
    assert 0 < line["mean_squared_error"] < 0.25

    status, out, _ = tightbound("report", fitted)
    assert status == 0
    assert "report.html" in out

    np.save(fitted / "other.npy", np.zeros((20, 5), np.float32))
    status, _, err = tightbound("reconstruct", fitted, fitted / "other.npy")
    assert status == 2
    assert "like the run's" in err

    assert tightbound("sample", fitted, "--n", "0")[0] == 2
    assert tightbound("evaluate", fitted, "--split", "nope")[0] == 2


def test_lists(tightbound):
    status, out, _ = tightbound("datasets", "--json")
    assert status == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert {"digits", "mnist", "fashion_mnist", "omniglot", "frey_faces"} <= set(rows)
    assert "iwae" in rows["mnist"]["splits"]
    status, out, _ = tightbound("objectives", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert set(rows) >= {"elbo", "iwae"}
    assert all(row["bias"] and row["reference"] and row["quantity"] for row in rows.values())
    assert "1509.00519" in rows["iwae"]["reference"]
    assert tightbound("objectives")[0] == tightbound("datasets")[0] == 0
