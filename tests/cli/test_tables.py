"""Tables of one's own through the commands: how they are read, and their columns' names."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

SMALL = "--likelihood gaussian --latent 1 --hidden 2 --k 1 --epochs 1 --evaluate-k 0".split()


@pytest.fixture
def years(tmp_path):
    """A table whose columns are named by numbers, in units of their own; a name with a comma."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)) * [1.0, 1e3, 1e-2] + [5.0, 0.0, 1.0]
    lines = ["2018,2019,2020", *(",".join(map(str, row)) for row in x)]
    (tmp_path / "years.csv").write_text("\n".join(lines))
    (tmp_path / "words.csv").write_text("\n".join(['a,"b, c",d', *lines[1:]]))
    return x


@pytest.mark.slow
def test_what_a_file_does_not_tell_is_an_option(tightbound, years):
    status, _, err = tightbound("fit", "years.csv", *SMALL, "--name", "y")
    assert (status, err.count("\n")) == (2, 1)
    assert "--header yes" in err
    status, _, err = tightbound("fit", "years.csv", *SMALL, "--name", "y", "--header", "yes")
    assert status == 0, err
    # The file of the fit is read as it was then; another one as options say.
    assert tightbound("reconstruct", "y", "years.csv", "--out", "back.csv")[0] == 0
    with open("back.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["2018", "2019", "2020"]
    assert len(rows) == 30
    with open("years.csv") as old, open("more.csv", "w") as new:
        new.writelines(old.readlines()[:4])
    flags = ("--data", "more.csv", "--k", "5", "--json")
    assert tightbound("evaluate", "y", *flags)[0] == 2
    status, out, _ = tightbound("evaluate", "y", *flags, "--header", "yes")
    assert (status, json.loads(out)["n"]) == (0, 3)
    status, _, err = tightbound("evaluate", "y", "--header", "yes")
    assert (status, err.count("\n")) == (2, 1)
    assert "--data" in err
    for wrong in (("--header", "maybe"), ("--scale", "0"), ("--scale", "x")):
        status, _, err = tightbound("fit", "years.csv", *SMALL, "--name", "z", *wrong)
        assert (status, err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_fit_ends_with_the_evaluation_that_a_bare_evaluate_asks_for(tightbound, years):
    small = SMALL[: SMALL.index("--evaluate-k")]
    status, out, err = tightbound("fit", "words.csv", *small, "--name", "w", "--json")
    assert status == 0, err
    line = json.loads(out)
    (path,) = Path("runs/w/evaluations").glob("*.safetensors")
    assert path.name.startswith("test-auto-key0-")
    assert "evaluate_k" not in Path("runs/w/config.toml").read_text()
    assert (line["k"], line["direction"]) == (5000, "consistent (no bound)")
    assert line["mean"] == pytest.approx(line["importance_mean"] + line["shift"])
    assert "has the answer already" in tightbound("evaluate", "w")[1]
    assert json.loads(tightbound("evaluate", "w", "--json")[1]) == line
    table = ("--out", "scores.csv", "--json")
    assert tightbound("evaluate", "w", *table)[0] == 0
    with open("scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == line["n"]
    assert all(float(row["ladder_stderr"]) > 0 for row in rows), "so few are all looked at"
    # A number of draws, as settings of earlier runs have it, is importance sampling alone.
    Path("old.toml").write_text('data = "words.csv"\nevaluate_k = 50\n')
    flags = (*small, "--config", "old.toml", "--name", "old", "--json")
    status, out, _ = tightbound("fit", *flags)
    line = json.loads(out)
    assert (status, line["k"], line["shift"]) == (0, 50, None)
    assert line["direction"].startswith("lower")
    (path,) = Path("runs/old/evaluations").glob("*.safetensors")
    assert path.name.startswith("test-k50-key0-")


@pytest.mark.slow
def test_columns_keep_their_names_and_errors_their_units(tightbound, years):
    status, _, err = tightbound("fit", "words.csv", *SMALL, "--name", "w")
    assert status == 0, err
    status, out, _ = tightbound("reconstruct", "w", "words.csv", "--out", "back.csv", "--json")
    assert status == 0
    with open("back.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["a", "b, c", "d"]
    # The columns' deviations are 1, 1,000 and 0.01: each counts alike.
    apart = (np.array(rows, float) - years) / years.std(axis=0)
    error = json.loads(out)["mean_squared_error_standardised"]
    assert error == pytest.approx(np.mean(apart**2), rel=0.3)  # of the 24 rows of the fit
    assert tightbound("sample", "w", "--n", "2", "--out", "s.csv")[0] == 0
    with open("s.csv", newline="") as file:
        assert next(csv.reader(file)) == head


@pytest.fixture
def mixed(tmp_path):
    """A table of words and numbers, and some of its rows with their columns in another order."""
    rows = [
        [
            ["red", "green", "blue"][i % 3],
            ["no", "yes"][i % 2],
            f"{i * 0.7 % 5:.1f}",
            f"{i / 9:.3f}",
        ]
        for i in range(30)
    ]
    lines = [",".join(row) for row in [["colour", "ok", "a", "b"], *rows]]
    (tmp_path / "mixed.csv").write_text("\n".join(lines))
    turned = [",".join(row[::-1]) for row in [["colour", "ok", "a", "b"], *rows[:4]]]
    (tmp_path / "turned.csv").write_text("\n".join(turned))
    (tmp_path / "strange.csv").write_text(
        "\n".join([*turned[:2], turned[2].replace("yes", "yess")])
    )


@pytest.mark.slow
def test_columns_are_what_options_say_and_new_rows_are_coded_alike(tightbound, mixed):
    status, _, err = tightbound("fit", "mixed.csv", *SMALL, "--name", "m")
    assert (status, err.count("\n")) == (2, 1)
    assert "likelihood='columns' for columns of levels ('colour')" in err
    said = ("--label", "colour", "--bounded", "a=0..5", "--real", "b")
    status, _, err = tightbound("fit", "mixed.csv", *SMALL, "--name", "m", *said)
    assert status == 0, err
    schema = json.loads(Path("runs/m/run.json").read_text())["data"]["schema"]
    assert [column["kind"] for column in schema["columns"]] == ["binary", "bounded", "real"]
    assert (schema["columns"][1]["high"], schema["label"]) == (5.0, "colour")
    score = ("evaluate", "m", "--k", "5", "--json")
    status, out, err = tightbound(*score, "--data", "turned.csv")
    assert status == 0, err
    assert json.loads(out)["n"] == 4
    status, _, err = tightbound(*score, "--data", "strange.csv")
    assert (status, err.count("\n")) == (2, 1)
    assert "row 1 (line 3), column 'ok': expected a level to be one of no, yes" in err
    assert tightbound(*score)[0] == 0, "the run's own data are coded by its schema"
    assert tightbound("reconstruct", "m", "turned.csv", "--out", "back.csv")[0] == 0
    with open("back.csv", newline="") as file:
        assert next(csv.reader(file)) == ["ok", "a", "b"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--category", "color"], "did you mean colour?"),
        (["--bounded", "a=0-5"], "expected limits such as rate=0..100"),
        (["--ordinal", "colour=red<green"], "row 2 (line 4), column 'colour'"),
        (["--drop", "a", "--label", "a"], "said to be drop and label"),
        (["--schema", "no.toml"], "expected a schema at no.toml"),
        (["--schema", "mixed.csv"], "mixed.csv is not TOML"),
    ],
)
def test_wrong_words_about_columns_end_in_one_line(tightbound, mixed, flags, message):
    status, _, err = tightbound("fit", "mixed.csv", *SMALL, "--name", "m", *flags)
    assert (status, err.count("\n")) == (2, 1)
    assert message in err
    assert not Path("runs/m").exists()


@pytest.mark.slow
def test_counts_are_fitted_by_name_and_judged_as_masses(tightbound, tmp_path):
    counts = np.random.default_rng(1).poisson([3.0, 40.0], (40, 2))
    Path("counts.csv").write_text("\n".join(["a,b", *(f"{a},{b}" for a, b in counts)]))
    options = [*SMALL, "--likelihood", "negative_binomial"]
    status, _, err = tightbound("fit", "counts.csv", *options, "--name", "c")
    assert status == 0, err
    record = json.loads(Path("runs/c/run.json").read_text())
    assert record["likelihood"] == {"support": "count", "discrete": True}
    assert "networks see features" in record["data"]["notes"]
    status, out, _ = tightbound("evaluate", "c", "--k", "20", "--json")
    assert status == 0
    assert np.isfinite(json.loads(out)["mean"])
    assert tightbound("reconstruct", "c", "counts.csv", "--out", "back.csv", "--json")[0] == 0
    Path("wrong.csv").write_text("a,b\n1,2\n0.5,3")
    status, _, err = tightbound("evaluate", "c", "--data", "wrong.csv", "--k", "20")
    assert status == 2
    assert "column 'a'" in err
    assert "is 0.5, expected a whole number from 0" in err
    status, _, err = tightbound("fit", "counts.csv", *SMALL, "--likelihood", "dirichlet")
    assert status == 2
    assert "law of all columns together" in err
