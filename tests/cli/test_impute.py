"""`tightbound impute`: files come back as they were, with their holes filled."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tightbound.cli import run as command
from tightbound.cli.compilation import SWITCH

pytestmark = pytest.mark.slow

SMALL = "--likelihood columns --latent 2 --hidden 8 --k 2 --epochs 3 --evaluate-k 0".split()
HEAD = ["colour", "visits", "height"]


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A folder with a run of a mixed table, and a part of it with holes, in another dialect."""
    folder, rng = tmp_path_factory.mktemp("filled"), np.random.default_rng(0)
    kind = rng.integers(0, 3, 120)
    rows = [
        [["red", "green", "blue"][of], str(rng.poisson(2 + 4 * of)), f"{9 * of + rng.normal():.2f}"]
        for of in kind
    ]
    text = "\n".join(",".join(row) for row in [HEAD, *rows]) + "\n"
    holed = [list(row) for row in rows[:8]]
    holed[1][0], holed[2][1], holed[3][2], holed[4][1] = "", "", "", "?"
    lines = ["; ".join(row) for row in [HEAD, *holed]]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(SWITCH, "off")
        Path("t.csv").write_text(text)
        Path("holes.csv").write_bytes("\r\n".join(lines).encode() + b"\r\n")
        assert command(["fit", "t.csv", *SMALL, "--name", "m", "--count", "visits"]) == 0
    return folder


@pytest.fixture
def fitted(tightbound, once, tmp_path):
    """The command line in a copy of that folder."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tightbound


def test_known_cells_keep_every_byte(fitted):
    status, out, err = fitted("impute", "m", "holes.csv", "-o", "filled.csv", "--json", "--k", "50")
    assert status == 0, err
    said = json.loads(out)
    assert (said["n"], said["filled"], said["rows_with_holes"]) == (8, 4, 4)
    before = Path("holes.csv").read_bytes().split(b"\r\n")
    after = Path("filled.csv").read_bytes().split(b"\r\n")
    assert len(before) == len(after)
    changed = [i for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    assert changed == [2, 3, 4, 5]
    for line in changed:
        old, new = before[line].split(b";"), after[line].split(b";")
        for was, now in zip(old, new, strict=True):
            assert was.strip() in (b"", b"?", now.strip())
    cells = [line.decode().split(";") for line in after[1:9]]
    assert {row[0] for row in cells} <= {"red", "green", "blue"}
    assert all(row[1].strip().isdecimal() for row in cells)


def test_several_tables_and_the_cells_with_their_intervals(fitted):
    more = ("--draws", "3", "--cells", "cells.csv", "--interval", "0.8", "--k", "50")
    status, _, err = fitted("impute", "m", "holes.csv", "--out", "f.csv", *more)
    assert status == 0, err
    assert sorted(path.name for path in Path().glob("f*.csv")) == [
        "f-1.csv",
        "f-2.csv",
        "f-3.csv",
        "f.csv",
    ]
    with open("cells.csv", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [(cell["row"], cell["column"]) for cell in cells] == [
        ("1", "colour"),
        ("2", "visits"),
        ("3", "height"),
        ("4", "visits"),
    ]
    assert cells[0]["value"] in ("red", "green", "blue")
    assert 1 / 3 <= float(cells[0]["probability"]) <= 1
    assert cells[0]["low"] == ""
    for cell in cells[1:]:
        assert float(cell["low"]) <= float(cell["high"])
        assert cell["probability"] == ""


def test_levels_are_written_as_words(fitted):
    assert fitted("sample", "m", "--n", "30", "--out", "s.csv")[0] == 0
    assert fitted("reconstruct", "m", "holes.csv", "--out", "back.csv")[0] == 0
    for name, n in (("s.csv", 30), ("back.csv", 8)):
        with open(name, newline="") as file:
            head, *rows = csv.reader(file)
        assert head == HEAD
        assert len(rows) == n
        assert {row[0] for row in rows} <= {"red", "green", "blue"}
        assert all(float(row[1]) >= 0 and np.isfinite(float(row[2])) for row in rows)
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert fitted("sample", "m", "--n", "30", "--out", "s.parquet")[0] == 0
    from pyarrow import parquet

    table = parquet.read_table("s.parquet")
    with open("s.csv", newline="") as file:
        assert table.column("colour").to_pylist() == [row["colour"] for row in csv.DictReader(file)]
    assert str(table.schema.field("height").type) == "float"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m", "holes.csv", "-o", "holes.csv"], "another file than the table itself"),
        (["m", "holes.csv", "-o", "filled.tsv"], "suffix out of .csv, got .tsv"),
        (["m", "no.csv"], "no.csv"),
        (["m", "holes.npy"], "expected a table to fill"),
        (["m", "walks.json"], "walks.json holds sequences, and tables alone are filled here"),
        (["m", "holes.csv", "--interval", "95"], "between 0 and 1, got 95"),
        (["n", "holes.csv"], "expected run to be one of m"),
        (["m", "holes.csv", "--cells", "c.txt"], "suffix out of .csv, got .txt"),
        (["m", "strange.csv"], "expected a level to be one of"),
    ],
)
def test_wrong_use_ends_in_one_line_and_writes_nothing(fitted, arguments, message):
    Path("strange.csv").write_text("colour,visits,height\nred,1,\nreed,2,3.5\n")
    before = sorted(Path().iterdir())
    status, out, err = fitted("impute", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert sorted(Path().iterdir()) == before


def test_a_run_of_pictures_has_no_tables(fitted):
    np.save("x.npy", np.random.default_rng(0).random((30, 3)).astype(np.float32))
    gaussian = [*SMALL[2:], "--likelihood", "gaussian"]
    assert fitted("fit", "x.npy", *gaussian, "--name", "p")[0] == 0
    status, _, err = fitted("impute", "p", "holes.csv")
    assert (status, err.count("\n")) == (2, 1)
    assert "which is no table" in err
