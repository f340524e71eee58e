import builtins
import re

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError

TRUTH = np.random.RandomState(4).normal(size=(12, 3)).round(3)


def whole(ds):
    parts = np.concatenate([ds.train, ds.validation, ds.test])
    unshuffled = np.empty_like(parts)
    unshuffled[np.random.RandomState(0).permutation(len(parts))] = parts
    return unshuffled


def text(rows, *, header=None, delimiter=",", end="\n"):
    lines = [delimiter.join(header)] if header else []
    return end.join([*lines, *(delimiter.join(map(str, row)) for row in rows), ""])


def load(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return data.load(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "content",
    [
        text(TRUTH),
        text(TRUTH).rstrip("\n"),
        text(TRUTH, header=["a", "b", "c"]),
        text(TRUTH, header=['"a, x"', "b", "c"], end="\r\n"),
        text(TRUTH, header=['"a"', '"b"', '"c"'], delimiter=";"),
        text(TRUTH, delimiter="\t"),
        "\ufeff" + text(TRUTH, header=["a", "b", "c"]),
        "\n\n" + text(TRUTH) + "\n\n",
        text([[f'"{v}"' for v in row] for row in TRUTH]),
        text([[f" {v}" for v in row] for row in TRUTH]),
    ],
)
def test_csv_dialects(tmp_path, content):
    ds = load(tmp_path, content)
    np.testing.assert_array_equal(whole(ds), TRUTH.astype(np.float32))
    assert (ds.shape, ds.units, ds.name) == ((3,), "real", "t.csv")


def test_header_that_counts_columns(tmp_path):
    table = np.arange(40).reshape(10, 4) + 0.5
    ds = load(tmp_path, text(table, header=["0", "1", "2", "3"]))
    np.testing.assert_array_equal(whole(ds), table)
    few = [[0, 1], *[[1, 0], [0, 1]] * 5]
    ds = load(tmp_path, text(few))
    np.testing.assert_array_equal(whole(ds), few)
    assert ds.notes == ("the first line (0, 1) is a row; header=True makes it the columns' names",)


@pytest.mark.parametrize(
    ("row", "column", "cell", "message"),
    [
        (4, 1, "abc", "row 4 (line 6), column 'b': expected a finite number, got 'abc'"),
        (3, 0, "inf", "row 3 (line 5), column 'a': expected a finite number, got 'inf'"),
        (3, 0, "1_0", "row 3 (line 5), column 'a': expected a finite number, got '1_0'"),
        (3, 0, "1,2", "row 3 (line 5): expected 3 cells, got 4"),
    ],
)
def test_bad_cells_are_named(tmp_path, row, column, cell, message):
    rows = TRUTH.astype(str).astype(object)
    rows[row, column] = cell
    with pytest.raises(UsageError, match=re.escape(message)):
        load(tmp_path, text(rows, header=["a", "b", "c"]))


@pytest.mark.parametrize(("row", "column", "cell"), [(0, 2, "?"), (11, 0, ""), (3, 0, " NA ")])
def test_cells_without_a_value_are_missing(tmp_path, row, column, cell):
    rows = TRUTH.astype(str).astype(object)
    rows[row, column] = cell
    (tmp_path / "t.csv").write_bytes(text(rows, header=["a", "b", "c"]).encode())
    x = data.load_items(tmp_path / "t.csv").x
    np.testing.assert_array_equal(np.argwhere(np.isnan(x)), [[row, column]])


def test_bad_cell_without_header(tmp_path):
    rows = TRUTH.astype(object)
    rows[0, 1] = "x"
    with pytest.raises(UsageError, match=r"row 0 \(line 1\), column '1': .* got 'x'"):
        load(tmp_path, text(rows))


@pytest.mark.parametrize("content", ["\n\n", "a,b,c\n", "# 1,2\n"])
def test_tables_without_rows(tmp_path, content):
    with pytest.raises(UsageError, match="at least one row of numbers, got none"):
        load(tmp_path, content)


def test_csv_that_is_no_text(tmp_path):
    with pytest.raises(UsageError, match="comma-separated text in UTF-8"):
        load(tmp_path, b"1,2\n\xff\xfe\x00,3\n")


@pytest.fixture
def parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

    def write(**columns):
        parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
        return tmp_path / "t.parquet"

    return write


def test_parquet(parquet):
    a, b = np.arange(10), np.linspace(-1, 1, 10)
    ds = data.load(parquet(a=a, b=b, c=a > 4))
    expected = np.stack([a, b, a > 4], axis=1).astype(np.float32)
    np.testing.assert_array_equal(whole(ds), expected)
    assert ds.shape == (3,)


def test_parquet_bad_cells_are_named(parquet):
    with pytest.raises(UsageError, match="row 3 .*, column 'b' is inf, expected a finite number"):
        data.load(parquet(a=[1, 2, 3, 4], b=[0.5, 1.0, 2.0, float("inf")]))


@pytest.mark.parametrize("column", [[1, None, 3, 4], [0.5, float("nan"), 2.0, 1.0]])
def test_parquet_nulls_are_missing(parquet, column):
    x = data.load_items(parquet(a=[1, 2, 3, 4], b=column)).x
    np.testing.assert_array_equal(np.argwhere(np.isnan(x)), [[1, 1]])


def test_parquet_empty_or_damaged(parquet, tmp_path):
    with pytest.raises(UsageError, match="at least one row"):
        data.load(parquet(a=np.zeros(0)))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match="expected a Parquet file"):
        data.load(tmp_path / "t.parquet")


def test_parquet_without_pyarrow(parquet, monkeypatch):
    path = parquet(a=[1])
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r'pip install "tightbound\[parquet\]"'):
        data.load(path)
