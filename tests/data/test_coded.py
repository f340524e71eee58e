"""Tables with words: how they are coded, what is left out, and what is refused, by its place."""

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError

ROWS = [
    [
        ["red", "green", "blue"][i % 3],
        ["S", "M", "L"][i % 7 % 3],
        i % 5,
        f"{1.5 * i - 7:.2f}",
        f"{0.9**i:.3f}",
        ["no", "yes"][i % 2],
        f"item {i}",
        "same",
    ]
    for i in range(40)
]
NAMES = ["colour", "size", "n", "x", "tail", "ok", "title", "same"]


def written(rows=ROWS, names=NAMES, mark=","):
    return "\n".join(mark.join(map(str, row)) for row in ([names] if names else []) + rows) + "\n"


def load(tmp_path, text, name="t.csv", **said):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return data.load_items(tmp_path / name, **said)


def changed(row, column, cell):
    rows = [list(row) for row in ROWS]
    rows[row][NAMES.index(column)] = cell
    return rows


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_words_become_the_numbers_of_their_levels(tmp_path, mark, quote):
    rows = [[f"{quote}{cell}{quote}" for cell in row] for row in ROWS]
    if not quote and mark == " ":
        rows = [[str(cell).replace(" ", "-") for cell in row] for row in rows]
    found = load(tmp_path, "\ufeff" + written(rows, [f"{quote}{n}{quote}" for n in NAMES], mark))
    kinds = {column.name: column.kind for column in found.schema.columns}
    assert kinds == {
        "colour": "category",
        "size": "category",
        "n": "count",
        "x": "real",
        "tail": "positive",
        "ok": "binary",
    }
    assert found.schema.names == found.columns
    assert [name for name, _ in found.schema.dropped] == ["title", "same"]
    for j, column in enumerate(found.schema.columns):
        cells = [row[NAMES.index(column.name)] for row in ROWS]
        if column.levelled:
            assert [column.levels[int(v)] for v in found.x[:, j]] == cells
        else:
            np.testing.assert_array_equal(found.x[:, j], np.float32([float(c) for c in cells]))
    assert found.schema.column("colour").levels == ("blue", "green", "red")
    assert (found.schema.column("x").decimals, found.schema.column("x").dtype) == (2, "float64")
    assert (found.schema.column("n").decimals, found.schema.column("n").dtype) == (0, "int64")


def test_what_was_guessed_and_left_out_is_said(tmp_path):
    notes = load(tmp_path, written()).notes
    assert "column 'same' was left out: one value alone ('same')" in notes
    assert "column 'title' was left out: 40 different texts in 40 rows: it names the rows" in notes
    (guess,) = [note for note in notes if note.startswith("taken as count")]
    assert "'n' (whole numbers with 5 values)" in guess
    assert "category=[...] (--category)" in guess
    declared = load(tmp_path, written(), category=["n", "title"], drop=["same"], real=["tail"])
    assert not [note for note in declared.notes if "taken as" in note or "left out" in note]
    assert declared.schema.column("title").levels[:3] == ("item 0", "item 1", "item 10")
    assert declared.schema.dropped == (("same", "as declared"),)


def test_a_table_of_numbers_comes_as_it_is(tmp_path):
    rows = [[i + 1, i % 2 + 1, 7, i / 2] for i in range(20)]
    found = load(tmp_path, written(rows, ["id", "sex", "same", "x"]))
    np.testing.assert_array_equal(found.x, np.float32(rows))
    assert found.notes == ("column 'id' does no more than count the rows",)
    assert [c.kind for c in found.schema.columns] == ["count", "count", "real", "real"]
    assert found.schema.plain
    said = load(tmp_path, written(rows, ["id", "sex", "same", "x"]), binary=["sex"])
    assert said.schema.names == ("sex", "x")
    np.testing.assert_array_equal(said.x[:, 0], [i % 2 for i in range(20)])
    assert (said.schema.column("sex").levels, said.schema.plain) == (("1", "2"), False)


@pytest.mark.parametrize("cell", ["?", "", "NA", "nan", " ", "null"])
@pytest.mark.parametrize("column", ["colour", "n", "x", "ok"])
def test_holes(tmp_path, cell, column):
    found = load(tmp_path, written(changed(3, column, cell)))
    np.testing.assert_array_equal(
        np.argwhere(np.isnan(found.x)), [[3, found.columns.index(column)]]
    )
    assert found.schema.column(column).missing == 1
    spelled = any("'null' are read as missing" in note for note in found.notes)
    assert spelled == (cell == "null" and column in ("colour", "ok"))


def test_a_level_may_be_spelled_like_a_hole_if_it_is_declared(tmp_path):
    order = ["none", "S", "M", "L"]
    found = load(tmp_path, written(changed(3, "size", "none")), ordinal={"size": order})
    assert found.schema.column("size").levels == tuple(order)
    assert found.x[3, 1] == 0


def test_declared_kinds(tmp_path):
    found = load(
        tmp_path,
        written(),
        ordinal={"size": ["S", "M", "L"], "n": None},
        bounded={"x": (-7, 60), "tail": None},
        label="ok",
        drop="title",
    )
    kinds = [column.kind for column in found.schema.columns]
    assert kinds == ["category", "ordinal", "ordinal", "bounded", "bounded"]
    assert found.schema.column("size").levels == ("S", "M", "L")
    assert found.schema.column("n").levels == ("0", "1", "2", "3", "4")
    assert (found.schema.column("x").low, found.schema.column("x").high) == (-7, 60)
    assert (found.schema.column("tail").low, found.schema.column("tail").high) == (0, 1)
    assert (found.schema.label, found.schema.label_levels) == ("ok", ("no", "yes"))


def test_labels_go_with_their_rows(tmp_path):
    rows = changed(3, "n", "?")
    (tmp_path / "t.csv").write_text(written(rows))
    ds = data.load(tmp_path / "t.csv", label="n")
    assert ds.schema.label_levels == ("0", "1", "2", "3", "4")
    for part, rows_of in ds.rows.items():
        expected = [-1 if row == 3 else row % 5 for row in rows_of]
        np.testing.assert_array_equal(ds.labels[part], expected)
    with pytest.raises(UsageError, match="expected a label, of few levels"):
        data.load(tmp_path / "t.csv", label="x")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"category": ["color"]}, "expected a column to be one of .*did you mean colour"),
        ({"count": ["x"]}, r"row 0 \(line 2\), column 'x': expected a whole number .*got -7"),
        ({"positive": ["x"]}, r"row 0 \(line 2\), column 'x': expected a number above 0"),
        ({"bounded": {"x": (-7, 0)}}, r"row 5 \(line 7\), column 'x': .*from -7.0 to 0.0"),
        ({"count": ["colour"]}, r"row 0 \(line 2\), column 'colour': .*got 'red'"),
        ({"ordinal": ["size"]}, r"its levels in their order, .*--ordinal 'size=A<B<C'"),
        ({"ordinal": {"size": ["S", "M"]}}, r"row 2 \(line 4\), column 'size': expected a level"),
        ({"binary": ["colour"]}, "expected two levels of a binary column, got 3"),
        ({"category": ["same"]}, "expected two levels or more of a category column"),
        ({"drop": NAMES}, "expected a column for the model, got none"),
    ],
)
def test_declarations_that_do_not_fit_are_refused(tmp_path, said, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, written(), **said)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(4, "x", "abc"), r"row 4 \(line 6\), column 'x': .* got 'abc'.*--category x"),
        (changed(4, "x", "inf"), r"row 4 \(line 6\), column 'x': expected a finite number"),
        (changed(4, "x", "1e60"), r"row 4 \(line 6\), column 'x': .*at most 3.4e38 .*got 1e\+60"),
        (changed(4, "n", "9" * 17), r"row 4 \(line 6\), column 'n': .* at most 15 digits"),
        (changed(4, "colour", "a\x07b"), r"row 4 \(line 6\), column 'colour': .*'a\\x07b'"),
        ([*ROWS[:4], ["red", "S"], *ROWS[4:]], r"row 4 \(line 6\): expected 8 cells, got 2"),
    ],
)
def test_bad_cells_are_named(tmp_path, rows, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, written(rows))
    if "column '" in message:  # what is left out may be anything
        name = message.partition("column '")[2].partition("'")[0]
        assert name not in load(tmp_path, written(rows), drop=[name]).columns


def test_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match="different names, got 'n' as columns 0 and 2"):
        load(tmp_path, written(names=["n", *NAMES[1:]]))


def test_levels_that_may_be_one_are_said(tmp_path):
    found = load(tmp_path, written(changed(0, "colour", "Red")))
    assert found.schema.column("colour").levels == ("blue", "green", "Red", "red")
    assert any("'Red' and 'red' differ by case or white space" in note for note in found.notes)


def test_a_level_that_reads_like_a_hole_is_told():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": ["x", "NA", "y", "x"] * 5, "b": np.arange(20) / 7})
    found = data.load_items(frame)
    assert found.schema.column("a").levels == ("NA", "x", "y")
    assert any("'NA' is a level" in note for note in found.notes)


# headers


def test_a_first_line_of_words_is_a_row_where_it_is_like_those_below(tmp_path):
    words = [[row[0], row[1], row[5]] for row in ROWS]
    found = load(tmp_path, written(words, None))
    assert (len(found.x), found.columns) == (40, ("0", "1", "2"))
    assert any("is a row; header=True makes it names" in note for note in found.notes)
    assert len(load(tmp_path, written(words, None), header=True).x) == 39
    named = load(tmp_path, written(words, ["a", "b", "c"]))
    assert (len(named.x), named.columns) == (40, ("a", "b", "c"))
    assert any("names the columns; header=False" in note for note in named.notes)
    mixed = load(tmp_path, written(ROWS, None))
    assert (len(mixed.x), mixed.columns[:3]) == (40, ("0", "1", "2"))
    words[0][1] = "?"
    assert len(load(tmp_path, written([["new", "?", "y"], *words], None)).x) == 41
    grades = [[i % 3 + 1, ["1", "2", "3+", "4+", "5+"][i % 5]] for i in range(40)]
    assert len(load(tmp_path, written(grades, None)).x) == 40
    numbered = load(tmp_path, written(ROWS, list(map(str, range(8)))))
    assert (len(numbered.x), numbered.columns[:3]) == (40, ("0", "1", "2"))


def test_a_first_line_of_words_and_years_may_be_either(tmp_path):
    rows = [[f"place {i % 13}", 3 + i % 7, i / 2] for i in range(30)]
    text = written(rows, ["where", "2018", "2019"])
    with pytest.raises(UsageError, match="may name the columns or be a row"):
        load(tmp_path, text)
    assert load(tmp_path, text, header=True).columns == ("where", "2018", "2019")
    assert len(load(tmp_path, text, header=False).x) == 31


def test_declaring_a_category_does_not_make_a_row_a_header(tmp_path):
    rows = [[3, 1, 2], [1, 2, 3], [2, 3, 1], [1, 1, 1]]
    found = load(tmp_path, written(rows, None), category=["0"])
    assert len(found.x) == 4
    np.testing.assert_array_equal(found.x, [[2, 1, 2], [0, 2, 3], [1, 3, 1], [0, 1, 1]])
    for said in ({}, {"category": ["0"]}):
        with pytest.raises(UsageError, match="may name the columns or be a row"):
            load(tmp_path, written(rows[1:], None), **said)


def test_decimal_commas_beside_words(tmp_path):
    rows = [[row[0], str(row[3]).replace(".", ","), f"a. {i % 3}"] for i, row in enumerate(ROWS)]
    found = load(tmp_path, written(rows, ["colour", "x", "y"], ";"))
    np.testing.assert_array_equal(found.x[:, 1], np.float32([float(row[3]) for row in ROWS]))
    assert "commas were read as decimal commas" in found.notes
    rows[0][1] = "1.5"
    with pytest.raises(UsageError, match="expected decimal commas or decimal points, got both"):
        load(tmp_path, written(rows, ["colour", "x", "y"], ";"))


def test_quoted_decimal_commas_between_commas(tmp_path):
    found = load(tmp_path, 'a,b\n"3,5",u\n"4,25",v\n"-1,0",u\n')
    np.testing.assert_array_equal(found.x, [[3.5, 0], [4.25, 1], [-1, 0]])
    with pytest.raises(UsageError, match="may be decimal or separate thousands"):
        load(tmp_path, 'a,b\n"3,500",u\n"4,250",v\n"1,000",u\n')


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("12%", "a number without signs and separators"),
        ("$ 5", "a number without signs and separators"),
        ("1.234,5", "a number without signs and separators"),
        ("1'000", "a number without signs and separators"),
        ("2020-01-05", "no dates, but numbers"),
        ("5/1/2020 10:00", "no dates, but numbers"),
        ("05.01.20", "no dates, but numbers"),
    ],
)
def test_numbers_in_disguise_and_dates_are_no_levels_unless_they_are_said_to_be(
    tmp_path, cell, message
):
    rows = [[["u", "v"][i % 2], cell if i % 3 else f"{cell[:-1]}7"] for i in range(12)]
    text = written(rows, ["a", "when"], "\t")
    with pytest.raises(UsageError, match=rf"row 0 \(line 2\), column 'when': expected {message}"):
        load(tmp_path, text)
    assert load(tmp_path, text, drop=["when"]).columns == ("a",)
    assert len(load(tmp_path, text, category=["when"]).schema.column("when").levels) == 2


def test_white_space_around_levels_is_no_part_of_them_and_said(tmp_path):
    found = load(tmp_path, written(changed(0, "colour", "red ")))
    assert found.schema.column("colour").levels == ("blue", "green", "red")
    assert any("white space around them alone are taken as one" in note for note in found.notes)


# by a schema


def test_new_rows_are_coded_as_the_first_were(tmp_path):
    found = load(tmp_path, written(), category=["n"], label="ok")
    order = [3, 7, 2, 1, 0, 4]
    names = [NAMES[j] for j in order]
    rows = [[row[j] for j in order] for row in ROWS[:5]]
    again = load(tmp_path, written(rows, [*names[:1], "new", *names[2:]]), schema=found.schema)
    np.testing.assert_array_equal(again.x, found.x[:5])
    assert again.schema == found.schema
    assert "columns that the schema does not have were left out: new" in again.notes
    (tmp_path / "s.toml").write_text(found.schema.to_toml())
    by_file = load(tmp_path, written(), schema=str(tmp_path / "s.toml"))
    np.testing.assert_array_equal(by_file.x, found.x)
    assert by_file.schema == found.schema
    ds = data.load(tmp_path / "t.csv", schema=found.schema)
    np.testing.assert_array_equal(ds.labels["test"], [row % 2 for row in ds.rows["test"]])


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        (changed(2, "colour", "gren"), NAMES, r"row 2 \(line 4\), column 'colour': expected a lev"),
        (changed(2, "colour", "gren"), NAMES, "got 'gren'; did you mean green"),
        (changed(2, "tail", -1), NAMES, r"row 2 \(line 4\), column 'tail': expected a number abo"),
        (changed(2, "n", 1.5), NAMES, r"row 2 \(line 4\), column 'n': expected a whole number"),
        (changed(2, "n", "x"), NAMES, r"row 2 \(line 4\), column 'n': expected a finite number"),
        (ROWS, ["color", *NAMES[1:]], "lacks a column of the schema: .* got 'colour'"),
    ],
)
def test_what_the_schema_does_not_have_is_refused(tmp_path, rows, names, message):
    schema = load(tmp_path, written()).schema
    with pytest.raises(UsageError, match=message):
        load(tmp_path, written(rows, names), schema=schema)


def test_levels_that_are_numbers_are_known_however_they_are_written(tmp_path):
    schema = load(tmp_path, written(), category=["n"]).schema
    again = load(tmp_path, written(changed(3, "n", "3.0")), schema=schema)
    assert again.x[3, 2] == 3


def test_what_columns_are_is_said_of_tables(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((12, 2)))
    for source in (tmp_path / "a.npy", np.zeros((12, 2))):
        with pytest.raises(UsageError, match="what columns are can be said of tables"):
            data.load_items(source, category=["a"])
    with pytest.raises(UsageError, match="drop= is for tables of your own, got it with digits"):
        data.load("digits", drop=["a"])
    with pytest.raises(UsageError, match="scale= divides all numbers alike"):
        load(tmp_path, written(), scale=2)


# frames


def frame(pandas):
    return pandas.DataFrame(
        {
            "c": pandas.Categorical(["u", "v", None, "w"] * 5, categories=["w", "v", "u", "z"]),
            "o": pandas.Categorical([3, 1, 2, None] * 5, categories=[1, 2, 3], ordered=True),
            "i": pandas.array([1, None, 3, 40] * 5, dtype="Int64"),
            "s": ["x", "y", " ", None] * 5,
            "b": pandas.array([True, None, False, True] * 5, dtype="boolean"),
            "t": [True, False, None, True] * 5,
            "f": np.arange(20, dtype=np.float32) - 3.25,
        },
        index=[f"r{i}" for i in range(20)],
    )


NAN = np.nan
CODES = [
    [2, 2, 1, 0, 1, 1],
    [1, 0, NAN, 1, NAN, 0],
    [NAN, 1, 3, NAN, 0, NAN],
    [0, NAN, 40, NAN, 1, 1],
]


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    source = frame(pandas)
    found = data.load_items(source)
    kinds = [column.kind for column in found.schema.columns]
    assert kinds == ["category", "ordinal", "count", "binary", "binary", "binary", "real"]
    np.testing.assert_array_equal(found.x[:4, :6], CODES)
    assert found.schema.column("c").levels == ("w", "v", "u", "z")
    assert found.schema.column("o").levels == ("1", "2", "3")
    assert found.schema.column("b").levels == ("False", "True")
    assert [column.dtype for column in found.schema.columns] == [
        "str", "int64", "int64", "str", "bool", "bool", "float32",
    ]  # fmt: skip
    assert found.row_names == tuple(source.index)
    assert "column 's': 5 blank texts are taken as missing" in found.notes
    again = data.load_items(source.iloc[::-1, ::-1], schema=found.schema)
    np.testing.assert_array_equal(again.x, found.x[::-1])
    words = data.load_items(source.astype({"c": "string", "s": "string"}), schema=found.schema)
    np.testing.assert_array_equal(words.x, found.x)


def test_frames_of_polars_and_arrow_tables():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    source = frame(pandas).reset_index(drop=True)
    schema = data.load_items(source).schema
    x = data.load_items(source).x
    plain = polars.from_pandas(source.astype({"o": float}))
    for kind in (polars.Enum(["w", "v", "u", "z"]), polars.Categorical, polars.String):
        found = data.load_items(plain.with_columns(polars.col("c").cast(kind)))
        own = found.schema.column("c").levels
        assert own == (
            ("w", "v", "u", "z") if kind == polars.Enum(["w", "v", "u", "z"]) else ("u", "v", "w")
        )
        again = data.load_items(plain.with_columns(polars.col("c").cast(kind)), schema=schema)
        np.testing.assert_array_equal(again.x, x)
    table = pyarrow.Table.from_pandas(source)
    found = data.load_items(table)
    np.testing.assert_array_equal(found.x, x)
    assert [c.kind for c in found.schema.columns] == [c.kind for c in schema.columns]
    assert found.schema.column("c").levels == ("w", "v", "u", "z")


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_dates_are_refused_in_words_and_may_be_left_out(package):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    module = pytest.importorskip(package, reason=f"{package} is not installed")
    dates = pandas.DataFrame(
        {"x": np.arange(12) / 4, "when": pandas.date_range("2020", periods=12)}
    )
    source = {
        "pandas": lambda: dates,
        "polars": lambda: module.from_pandas(dates),
        "pyarrow": lambda: module.Table.from_pandas(dates),
    }[package]()
    with pytest.raises(UsageError, match="column 'when': expected real numbers, got .*20"):
        data.load_items(source)
    assert data.load_items(source, drop=["when"]).columns == ("x",)


def test_numbers_that_are_texts_are_refused_with_the_way_out():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    source = pandas.DataFrame({"a": ["1.5", "?", "2", "3"] * 3, "b": ["u", "v", "w"] * 4})
    with pytest.raises(UsageError, match=r"numbers as texts, such as '1.5' beside '\?'; make them"):
        data.load_items(source)
    levels = data.load_items(source, category=["a"]).schema.column("a").levels
    assert set(levels) == set(source["a"])


# real tables


def test_real_tables(real_data):
    real_data("mixed")
    import os
    from pathlib import Path

    root = Path(os.environ["TIGHTBOUND_DATA"])
    cancer = data.load(root / "mixed" / "breast-cancer.csv", label="9")
    assert len(cancer.train) + len(cancer.validation) + len(cancer.test) == 286
    assert cancer.schema.label_levels == ("no-recurrence-events", "recurrence-events")
    assert cancer.schema.column("0").levels[0] == "20-29"
    assert [c.missing for c in cancer.schema.columns] == [0, 0, 0, 0, 8, 0, 0, 1, 0]
    german = data.load_items(root / "mixed" / "german.csv", label="20")
    assert german.x.shape == (1000, 20)
    assert sum(column.kind == "category" for column in german.schema.columns) == 11
    horses = data.load_items(root / "mixed" / "horse-colic.csv")
    assert (horses.x.shape, int(np.isnan(horses.x).sum())) == ((300, 28), 1605)
    real_data("uci")
    wdbc = data.load_items(root / "uci" / "wdbc.data", label="1")
    assert dict(wdbc.schema.dropped)["0"].endswith("it names the rows")
    abalone = data.load_items(root / "uci" / "abalone.csv")
    assert abalone.schema.columns[0].levels == ("F", "I", "M")
