"""Tables with holes come back with these filled, and otherwise as they were."""

import csv
import io

import numpy as np
import pytest
from tests.data.test_coded import frame

from tightbound import data
from tightbound.core.errors import UsageError
from tightbound.data import Column, Schema
from tightbound.data.readers.layout import find_layout

WORDS = ["a", "b c", "d,e", "f;g", 'h "i"', "j'k", "é", "<5", "x=1", "10"]
HOLES = ["", "?", "NA", "nan"]


def made(seed):
    """A table of mixed columns as text in some dialect, what it holds, and where its holes are."""
    rng = np.random.RandomState(seed)
    mark, end = [",", ";", "\t"][rng.randint(3)], ["\n", "\r\n"][rng.randint(2)]
    quoting = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC][rng.randint(3)]
    comma = mark == ";" and rng.rand() < 0.5
    n, d = rng.randint(12, 40), rng.randint(2, 6)
    cells = []
    for j in range(d):
        kind = "word" if j == 0 else ["word", "whole", "fraction"][rng.randint(3)]
        if kind == "word":
            levels = rng.permutation(WORDS[:-1])[: rng.randint(2, 5)].tolist()
            column = [levels[i % len(levels)] for i in range(n)]
        elif kind == "whole":
            column = [str(v) for v in rng.randint(-5, 500, size=n)]
        else:
            column = [f"{v:.{1 + j}f}" for v in rng.normal(size=n) * 10]
            column = [cell.replace(".", ",") for cell in column] if comma else column
        cells.append(rng.permutation(column).tolist())
    holes = rng.rand(n, d) < 0.15
    rows = [[HOLES[rng.randint(4)] if holes[i, j] else cells[j][i] for j in range(d)]
            for i in range(n)]  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out, delimiter=mark, lineterminator=end, quoting=quoting)
    writer.writerow([f"name {j}" for j in range(d)])
    writer.writerows(rows)
    head = ["", "# a comment" + end, "\ufeff"][rng.randint(3)]
    return head + out.getvalue(), cells, holes


@pytest.mark.parametrize("block", range(10))
def test_any_table_comes_back_byte_for_byte(tmp_path, block):
    filled_cells = 0
    for seed in range(block * 20, block * 20 + 20):
        text, cells, holes = made(seed)
        path, out = tmp_path / "t.csv", tmp_path / "o.csv"
        path.write_bytes(text.encode())
        found = data.load_items(path, header=True)
        schema, x = found.schema, found.x.copy()
        seen = [int(name.split()[1]) for name in schema.names]
        np.testing.assert_array_equal(np.isnan(x), holes[:, seen])
        # Nothing filled: every byte is as it was.
        data.write_filled(out, path, x, schema, header=True)
        assert out.read_bytes() == path.read_bytes()
        # Filled by what was there before the holes were made, if it is a level that is left.
        for place, j in enumerate(seen):
            column = schema.columns[place]
            for row in np.flatnonzero(holes[:, j]):
                cell = cells[j][row]
                if column.levelled:
                    known = cell in column.levels
                    x[row, place] = column.levels.index(cell) if known else np.nan
                else:
                    value = float(cell.replace(",", "."))
                    x[row, place] = np.nan if column.kind == "count" and value < 0 else value
        data.write_filled(out, path, x, schema, header=True)
        again = data.load_items(out, schema=schema, header=True)
        np.testing.assert_allclose(again.x, x, rtol=1e-6, atol=1e-9)
        written = out.read_bytes().decode("utf-8-sig")
        rows = [row for _, row in find_layout(written, ".csv").records(written)][1:]
        for place, j in enumerate(seen):
            for row in range(len(rows)):
                if not np.isnan(x[row, place]) and schema.columns[place].kind != "positive":
                    assert rows[row][j] == cells[j][row], (seed, row, j)
                    filled_cells += holes[row, j]
    assert filled_cells > 50


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (
            "a b\n'u' 1.50\n?   2.25\n  'v' NA \n'v' 1",
            "t.txt",
            "a b\n'u' 1.50\n'v'   2.25\n  'v' 2.00 \n'v' 1",
        ),
        (
            "a,b\n'u','1'\n'?','2'\n\n'v',?\n'v','1'\n",
            "t.csv",
            "a,b\n'u','1'\n'v','2'\n\n'v','2'\n'v','1'\n",
        ),
        (",a,b\nr,u,1\ns,,2\nt,v,\nw,v,1", "t.csv", ",a,b\nr,u,1\ns,v,2\nt,v,2\nw,v,1"),
        ("a;b\r\nu;1,5\r\n;2,5\r\nv;\r\nv;1,5", "t.csv", "a;b\r\nu;1,5\r\nv;2,5\r\nv;2,0\r\nv;1,5"),
        ("a,b,\nu,1,\n,2,\nv,,\nv,1,", "t.csv", "a,b,\nu,1,\nv,2,\nv,2,\nv,1,"),
    ],
)  # fmt: skip
def test_dialects(tmp_path, text, name, expected):
    path, out = tmp_path / name, tmp_path / f"o{name[1:]}"
    path.write_bytes(text.encode())
    found = data.load_items(path, category=["a"])
    assert found.schema.column("a").levels == ("u", "v")
    x = np.where(np.isnan(found.x), [1, 2], found.x)
    data.write_filled(out, path, x, found.schema)
    assert out.read_bytes().decode() == expected


def test_a_level_with_a_separator_is_quoted(tmp_path):
    path, out = tmp_path / "t.csv", tmp_path / "o.csv"
    path.write_text('a,b\n"u,v",1\n,2\nw,3\nw,5\n')
    found = data.load_items(path, category=["a"])
    x = np.where(np.isnan(found.x), 0, found.x)
    data.write_filled(out, path, x, found.schema)
    assert out.read_text() == 'a,b\n"u,v",1\n"u,v",2\nw,3\nw,5\n'


def test_what_is_known_is_not_looked_at(tmp_path):
    path, out = tmp_path / "t.csv", tmp_path / "o.csv"
    path.write_text("a,b\nu,1\nv,2\nu,?\nv,1\n")
    found = data.load_items(path, category=["a"])
    data.write_filled(out, path, np.full((4, 2), 1.0), found.schema)
    assert out.read_text() == "a,b\nu,1\nv,2\nu,1\nv,1\n"


def test_other_rows_and_formats_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\nu,1\nv,2\nu,?\nv,1\n")
    schema = data.load_items(path, category=["a"]).schema
    with pytest.raises(UsageError, match=r"expected x of shape \(4, 2\), got \(3, 2\)"):
        data.write_filled(tmp_path / "o.csv", path, np.zeros((3, 2)), schema)
    with pytest.raises(UsageError, match="the same for .* and for the filled file"):
        data.write_filled(tmp_path / "o.tsv", path, np.zeros((4, 2)), schema)
    with pytest.raises(UsageError, match="expected a DataFrame or an Arrow table"):
        data.fill(np.zeros((4, 2)), np.zeros((4, 2)), schema)
    path.write_text('a,b\nu,1\nv,2\n"u" x,?\nv,1\n')
    schema = data.load_items(path, category=["a"]).schema
    with pytest.raises(UsageError, match="line 4: expected quotes around whole cells"):
        data.write_filled(tmp_path / "o.csv", path, np.zeros((4, 2)), schema)
    assert not (tmp_path / "o.csv").exists()


def holes_filled(pandas, source, filled):
    """Whether frames differ in holes alone, and no holes are left."""
    pandas.testing.assert_frame_equal(filled.where(source.notna()), source.where(source.notna()))
    assert (filled.dtypes == source.dtypes).all()
    assert not filled.isna().any(axis=None)


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    source = frame(pandas).assign(s=["x", "y", "x", None] * 5, when=pandas.Timestamp("2020-01-01"))
    found = data.load_items(source, drop=["when"])
    x = np.where(np.isnan(found.x), 1.2, found.x)
    filled = data.fill(source, x, found.schema)
    holes_filled(pandas, source, filled)
    hole = source.isna()
    assert set(filled["c"][hole["c"]]) == {"v"}
    assert set(filled["o"][hole["o"]]) == {2}
    assert set(filled["i"][hole["i"]]) == {1}
    assert set(filled["s"][hole["s"]]) == {"y"}
    assert set(filled["b"][hole["b"]]) == set(filled["t"][hole["t"]]) == {True}
    # New rows whose own type lacks a level get it.
    fewer = source.iloc[[0, 2]].assign(c=pandas.Categorical(["u", None], categories=["u"]))
    x = data.load_items(fewer, schema=found.schema).x
    again = data.fill(fewer, np.where(np.isnan(x), 1, x), found.schema)
    assert list(again["c"]) == ["u", "v"]


def test_a_text_that_would_be_read_as_another_is_not_written(tmp_path):
    path, out = tmp_path / "t.csv", tmp_path / "o.csv"
    path.write_text("n0 n1\n \n ?\n0 0\n0 0\n: 0\n")
    found = data.load_items(path, header=False)
    with pytest.raises(UsageError, match="would be read as another table"):
        data.write_filled(out, path, np.zeros(found.x.shape), found.schema, header=False)
    assert not out.exists()


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_values_that_a_type_does_not_take_are_refused(package):
    module = pytest.importorskip(package, reason=f"{package} is not installed")
    make = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[package]
    source = getattr(module, make)({"a": [1, 2, None, 1], "b": [0.5, 1.5, 2.5, 3.5]})
    if package == "pandas":
        source = source.astype({"a": "Int64"})
    schema = Schema((Column("a", "category", ("1", "2", "x"), dtype="str"), Column("b", "real")))
    with pytest.raises(UsageError, match="column 'a': its type does not take 'x'"):
        data.fill(source, np.full((4, 2), 2.0), schema)


def test_frames_of_polars_and_arrow_tables(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    source = frame(pandas).assign(s=["x", "y", "x", None] * 5).drop(columns="o")
    plain = polars.from_pandas(source.reset_index(drop=True))
    for kind in (polars.Enum(["w", "v", "u", "z"]), polars.Categorical, polars.String):
        frame_of = plain.with_columns(polars.col("c").cast(kind))
        found = data.load_items(frame_of)
        filled = data.fill(frame_of, np.where(np.isnan(found.x), 1, found.x), found.schema)
        assert (filled.dtypes, filled.columns) == (frame_of.dtypes, frame_of.columns)
        for name in frame_of.columns:
            pairs = zip(frame_of[name].to_list(), filled[name].to_list(), strict=True)
            assert all(new is not None and old in (None, new) for old, new in pairs)
    source = source.drop(columns="t")  # which pandas reads as another type without a hole
    table = pyarrow.Table.from_pandas(source)
    found = data.load_items(table)
    x = np.where(np.isnan(found.x), 1, found.x)
    filled = data.fill(table, x, found.schema)
    assert filled.schema.equals(table.schema, check_metadata=True)
    holes_filled(pandas, source, filled.to_pandas())
    parquet.write_table(table, tmp_path / "t.parquet")
    data.write_filled(tmp_path / "o.parquet", tmp_path / "t.parquet", x, found.schema)
    holes_filled(pandas, source, pandas.read_parquet(tmp_path / "o.parquet"))
