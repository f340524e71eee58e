"""Tables in text: separators, headers, names of rows, decimal commas, columns of text."""

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError

TRUTH = np.random.RandomState(4).normal(size=(12, 3)).round(3)


def load(tmp_path, content, name="t.csv", **options):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return data.load_items(tmp_path / name, **options)


def text(rows, *, header=None, mark=","):
    lines = [mark.join(header)] if header else []
    return "\n".join([*lines, *(mark.join(map(str, row)) for row in rows), ""])


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.data", "t.txt"])
@pytest.mark.parametrize(
    ("mark", "words"),
    [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), (" ", "white space"), ("  ", "white")],
)
@pytest.mark.parametrize("header", [None, ["a", "b", "c"]])
def test_separators(tmp_path, name, mark, words, header):
    found = load(tmp_path, text(TRUTH, header=header, mark=mark), name)
    np.testing.assert_array_equal(found.x, TRUTH.astype(np.float32))
    assert found.columns == (("a", "b", "c") if header else ("0", "1", "2"))
    usual = (name, mark) in (("t.csv", ","), ("t.tsv", "\t"))
    assert any(f"separated by {words}" in note for note in found.notes) == (not usual)


@pytest.mark.parametrize(
    "content",
    [
        "  1.5   2.5\n 10.5\t20.5 \n",
        '"petal width"  "b"\n1.5 2.5\n10.5 20.5',
        "# by savetxt\n# a b\n1.5 2.5\n10.5 20.5\n",
        "1.5, 2.5\n10.5, 20.5\n",
        "sepal length,sepal width\n1.5,2.5\n10.5,20.5\n",
        "1.5,2.5,\n10.5,20.5,\n",
        "a,b,\n1.5,2.5,\n10.5,20.5,\n",
        "a;b\n1,5;2,5\n10,5;20,5\n",
        "1,5 2,5\n10,5 20,5\n",
        "1,5\t2,5\n10,5\t20,5\n",
    ],
)
def test_dialects(tmp_path, content):
    found = load(tmp_path, content, "t.txt")
    np.testing.assert_array_equal(found.x, [[1.5, 2.5], [10.5, 20.5]])
    commas = "commas were read as decimal commas" in found.notes
    assert commas == ("1,5 2,5" in content or "1,5\t" in content or "1,5;" in content)
    assert ("lines at the top that begin with # were left out" in found.notes) == (
        content.startswith("#")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,234;5,678\n2,345;1,789\n", "column '0' .'1,234'.: the commas may be decimal or sep"),
        ("1,5;2.5\n2,5;3.5\n", "expected decimal commas or decimal points, got both .'2.5'"),
        ("a,b\n1,2,\n", "expected 2 cells, got 3"),
        ("x\n1,5\n2,5\n", "expected 1 cells, got 2"),
        ("1.234,5;2\n1.5;3\n", r"row 0 \(line 1\), column '0': expected .* got '1.234,5'"),
        ("12345678901234567;1\n3;4\n", "integers of at most 15 digits, got 12345678901234567"),
    ],
)
def test_numbers_that_may_be_another_are_refused(tmp_path, content, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, content)


def test_long_decimal_fractions_are_numbers(tmp_path):
    x = np.random.RandomState(0).normal(size=(5, 2))
    np.savetxt(tmp_path / "a.txt", x)
    np.testing.assert_array_equal(data.load_items(tmp_path / "a.txt").x, x.astype(np.float32))
    exact = load(tmp_path, "9007199254740992,1\n1.0,2\n")
    np.testing.assert_array_equal(exact.x, [[2**53, 1], [1, 2]])


# headers


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["id", "2018", "2019"], [[1, 2.5, 3], [2, 4, 5]]),
        (["2018", "2019", "2020", "2021"], TRUTH.reshape(9, 4)),
        ([str(j) for j in range(4)], TRUTH.reshape(9, 4)),
        ([str(j) for j in range(12)], np.arange(24).reshape(2, 12) % 7),
        ([str(400 + j / 2) for j in range(9)], TRUTH.reshape(4, 9)),
    ],
)
def test_headers_of_numbers(tmp_path, header, rows):
    found = load(tmp_path, text(rows, header=header))
    np.testing.assert_array_equal(found.x, np.float32(rows))
    assert found.columns == tuple(header)
    assert any("names the columns" in note for note in found.notes)
    forced = load(tmp_path, text(rows, header=header), header=True)
    np.testing.assert_array_equal(forced.x, found.x)
    assert forced.columns == found.columns


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["0", "1", "2"], TRUTH),
        (["0", "1", "2"], [[0, 1, 2], [2, 1, 0], [1, 1, 1]]),
        (["2018", "2019"], TRUTH[:, :2]),
        (["2018", "2019"], [[5, 6], [7, 8]]),
        (["2000", "2005", "2020"], TRUTH),
        (["0", "1", "2", "3"], [[5, 6, 7, 8], [7, 8, 9, 1]]),
    ],
)
def test_a_first_line_that_may_be_either_is_refused_with_the_way_out(tmp_path, header, rows):
    content = text(rows, header=header)
    with pytest.raises(
        UsageError,
        match="may name the columns or be a row; .* --header yes or no, in Python header=True",
    ):
        load(tmp_path, content)
    assert len(load(tmp_path, content, header=True).x) == len(rows)
    found = load(tmp_path, content, header=False)
    np.testing.assert_array_equal(found.x[0], np.float32(header))
    assert len(found.x) == len(rows) + 1


@pytest.mark.parametrize(
    "rows",
    [
        TRUTH,
        [[0, 1], [1, 0], [0, 1], [1, 1]],
        [[3, 1, 2], [1, 2, 3]],
        [[5, 3], [3, 5]],
        [[1.5, 2.5, 3.5], [0, 2, 9]],
        [[0, 1, 2]],
        [["", 1.5, 2], [3, 4, 5]],
    ],
)
def test_rows_are_rows(tmp_path, rows):
    content = text(rows)
    expected = np.float32([[np.nan if cell == "" else cell for cell in row] for row in rows])
    np.testing.assert_array_equal(load(tmp_path, content).x, expected)


def test_options_of_text_are_for_text(tmp_path):
    np.save(tmp_path / "a.npy", TRUTH)
    for source in (tmp_path / "a.npy", TRUTH):
        with pytest.raises(UsageError, match="header= is for tables in text"):
            data.load_items(source, header=True)
    with pytest.raises(UsageError, match="scale= and header= are for your own data"):
        data.load("digits", header=True)


# names of rows


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (",b,c\n7,1.5,2.5\n9,3.5,4.5\n", ("7", "9")),
        ("Unnamed: 0,b,c\n7,1.5,2.5\n9,3.5,4.5\n", ("7", "9")),
        (",0,1\n0,1.5,2.5\n1,3.5,4.5\n", ("0", "1")),
        ('"","b","c"\n"u v",1.5,2.5\n"w",3.5,4.5\n', ("u v", "w")),
        ('"b" "c"\n"u v" 1.5 2.5\n"w" 3.5 4.5\n', ("u v", "w")),
    ],
)
def test_a_column_without_a_name_names_the_rows(tmp_path, content, names):
    found = load(tmp_path, content)
    np.testing.assert_array_equal(found.x, [[1.5, 2.5], [3.5, 4.5]])
    assert found.row_names == names
    assert any("it names the rows and is not a column" in note for note in found.notes)


def test_pandas_round_trip(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(TRUTH, columns=["a", "b", "c"], index=[f"r{i}" for i in range(12)])
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.reset_index(drop=True).to_parquet(tmp_path / "b.parquet")
    frame.set_index("a", append=True).to_parquet(tmp_path / "c.parquet")
    for source in (tmp_path / "a.csv", tmp_path / "a.parquet", frame):
        found = data.load_items(source)
        np.testing.assert_array_equal(found.x, TRUTH.astype(np.float32))
        assert found.columns == ("a", "b", "c")
        assert found.row_names == tuple(frame.index)
        assert any("names the rows" in note for note in found.notes)
    plain = data.load_items(tmp_path / "b.parquet")
    assert (plain.row_names, plain.notes, plain.columns) == ((), (), ("a", "b", "c"))
    levels = data.load_items(tmp_path / "c.parquet")
    assert levels.columns == ("b", "c")
    assert levels.row_names[2] == f"r2, {TRUTH[2, 0]}"


# columns of text


def test_columns_of_text_are_coded(tmp_path):
    rows = [[0.5, "red", 1], [1.5, "green", 2], [2.5, "red", 3], [1, "blue", 2], [1, "grey", 2]]
    found = load(tmp_path, text(rows, header=["a", "colour", "b"]))
    assert found.schema.column("colour").levels == ("blue", "green", "grey", "red")
    np.testing.assert_array_equal(found.x[:, 1], [3, 1, 3, 0, 2])
    np.testing.assert_array_equal(load(tmp_path, text(rows)).x, found.x)


def test_messages_hold_no_control_characters(tmp_path):
    name = "a\x1b[31m\nb.csv"
    for content in ("a\n\x1b[0m\n\x00\n", "\x1b,b\n1\n", "1,2\n3\n", b"\xff\x00", b""):
        with pytest.raises(UsageError) as error:
            load(tmp_path, content, name)
        assert str(error.value).isprintable()
