"""Schemas: their files, their printed form, and values that go back to the source's types."""

import numpy as np
import pytest

import tightbound as tb
from tightbound import data
from tightbound.core.errors import UsageError
from tightbound.data import Column, Schema, check_amounts

WHOLE = Schema(
    (
        Column("colour", "category", ("red", 'a "b"', "é"), dtype="str", missing=2),
        Column("size", "ordinal", ("S", "M", "L"), dtype="str"),
        Column("price", "positive", decimals=2, least=0.5, greatest=3.25, guessed="skewed"),
        Column("share", "bounded", low=0.0, high=1.0, dtype="float32", unit="kg"),
        Column("n", "count", dtype="int64", decimals=0),
        Column("ok", "binary", ("False", "True"), dtype="bool"),
        Column("code", "category", ("1", "3", "7"), dtype="int8"),
    ),
    "y",
    ("no", "yes"),
    (("id", "all differ"), ("x.y", "one value")),
)


def test_a_schema_goes_through_its_file(tmp_path):
    (tmp_path / "s.toml").write_text(WHOLE.to_toml())
    assert Schema.from_toml(tmp_path / "s.toml") == WHOLE
    assert Schema.from_entries(WHOLE.to_entries(), "x") == WHOLE


def test_a_schema_by_hand_needs_name_and_kind_alone(tmp_path):
    (tmp_path / "s.toml").write_text('[[columns]]\nname = "a"\nkind = "real"\n')
    assert Schema.from_toml(tmp_path / "s.toml") == Schema((Column("a", "real"),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected columns"),
        ("a = ", "is not TOML"),
        ("columns = 1", "expected columns"),
        ("[[colums]]\nname = 'a'", "expected key to be one of .*did you mean columns"),
        ("[[columns]]\nkind = 'real'", r"columns\[0\]: expected the key name"),
        ("[[columns]]\nname = 'a'", r"columns\[0\]: expected the key kind"),
        ("[[columns]]\nname = 'a'\nkind = 'reel'", "expected kind to be one of .*mean real"),
        ("[[columns]]\nname = 'a'\nkind = 'real'\nlow = 'x'", "expected low as float or int"),
        ("[[columns]]\nname = 'a'\nkind = 'real'\nlevel = []", "did you mean levels"),
        ("[[columns]]\nname = 'a'\nkind = 'category'", "expected levels of a category"),
        ("[[columns]]\nname = 'a'\nkind = 'category'\nlevels = ['x', 'x']", "that differ"),
        ("[[columns]]\nname = 'a'\nkind = 'binary'\nlevels = ['x', 'y', 'z']", "levels of a bin"),
        ("[[columns]]\nname = 'a'\nkind = 'bounded'\nlow = 1\nhigh = 1", "low < high"),
        ("[[columns]]\nname = 'a'\nkind = 'real'\ndtype = 'object'", "expected dtype as"),
        ("[[columns]]\nname = 'a'\nkind = 'real'\n[dropped]\na = 'x'", "each column once, got 'a'"),
        ("label = 3\n[[columns]]\nname = 'a'\nkind = 'real'", "expected label as str, got 3"),
    ],
)
def test_wrong_files_are_refused_by_key(tmp_path, text, message):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        Schema.from_toml(path)
    assert "s.toml" in str(error.value)


def test_there_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="expected a schema at .*, found no file"):
        Schema.from_toml(tmp_path / "s.toml")


def test_a_printed_schema_says_all():
    shown = str(WHOLE).splitlines()
    assert [line.split()[0] for line in shown[1:8]] == list(WHOLE.names)
    assert "S < M < L" in shown[2]
    assert "guessed: skewed" in shown[3]
    assert shown[-3:] == [
        "label 'y': no, yes",
        "dropped 'id': all differ",
        "dropped 'x.y': one value",
    ]
    many = Schema((Column("a", "category", tuple(map(str, range(30)))),))
    assert "0, 1, 2, 3, 4, 5, 6, 7, ... (30 levels)" in str(many)


def test_values_go_back_to_the_types_of_the_source():
    x = np.array([[0, 2, 1.2349, 0.5, 3.4, 1, 2], [1.4, -5, 2, 7, -1, 0.2, 0.6]], np.float32)
    found = WHOLE.restore(x)
    assert list(found) == list(WHOLE.names)
    assert found["colour"].tolist() == ["red", 'a "b"']
    assert found["size"].tolist() == ["L", "S"]
    np.testing.assert_array_equal(found["price"], [1.23, 2.0])
    np.testing.assert_array_equal(found["share"], np.float32([0.5, 1.0]))
    assert found["share"].dtype == np.float32
    assert (found["n"].dtype, found["n"].tolist()) == (np.int64, [3, 0])
    assert (found["ok"].dtype, found["ok"].tolist()) == (np.bool_, [True, False])
    assert (found["code"].dtype, found["code"].tolist()) == (np.int8, [7, 3])


def test_holes_stay_holes():
    found = WHOLE.restore(np.full((1, 7), np.nan))
    assert [found[name][0] for name in ("colour", "size", "ok")] == [None] * 3
    assert all(np.isnan(found[name][0]) for name in ("price", "share", "n", "code"))
    with pytest.raises(UsageError, match="7 columns, got shape"):
        WHOLE.restore(np.zeros((1, 6)))


def test_rounding_leaves_values_where_they_may_be():
    positive = Column("a", "positive", decimals=2)
    np.testing.assert_array_equal(positive.restore(np.array([1e-9, 0.126])), [0.01, 0.13])
    whole = Column("a", "positive", dtype="uint8")
    np.testing.assert_array_equal(whole.restore(np.array([0.2, 1e9])), [1, 255])
    bounded = Column("a", "bounded", low=0.25, high=0.75, decimals=1)
    np.testing.assert_array_equal(bounded.restore(np.array([0.24, 0.5, 0.77])), [0.25, 0.5, 0.75])


def test_columns_are_found_by_name():
    assert WHOLE.column("size").kind == "ordinal"
    with pytest.raises(UsageError, match="did you mean price"):
        WHOLE.column("prise")


def test_levels_are_no_amounts():
    check_amounts(None, "gaussian")
    check_amounts(Schema((Column("a", "binary", ("x", "y")), Column("b", "real"))), "gaussian")
    with pytest.raises(UsageError, match=r"likelihood='columns' .*\('colour', 'size', 'code'\)"):
        check_amounts(WHOLE, "gaussian")


def test_models_of_amounts_refuse_levels(tmp_path):
    rows = "\n".join(f"{'uvw'[i % 3]},{i / 7}" for i in range(20))
    (tmp_path / "t.csv").write_text(f"a,b\n{rows}\n")
    ds = data.load(tmp_path / "t.csv")
    with pytest.raises(UsageError, match=r"columns of levels \('a'\), got 'gaussian'"):
        tb.autoencoder(ds, likelihood="gaussian")
    with pytest.raises(UsageError, match=r"columns of levels \('a'\), got a finite model"):
        tb.models.gaussian_mixture(ds, components=2)
    tb.autoencoder(data.load(tmp_path / "t.csv", drop=["a"]), likelihood="gaussian", hidden=(2,))


def test_numbers_alone_have_a_plain_schema():
    assert data.load_items(np.zeros((3, 2))).schema is None
    assert not WHOLE.plain
    assert Schema((Column("a", "real"), Column("b", "binary", ("0", "1")))).plain
    assert not Schema((Column("b", "binary", ("1", "2")),)).plain
    assert not Schema((Column("a", "real"),), dropped=(("b", ""),)).plain
