"""Whatever holds numbers comes through the door with the right ones, or is refused in words."""

import builtins
import decimal
import re

import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.data import as_table, as_values
from tightbound.data.door import as_array

TRUTH = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 100.0]])
HOLED = np.array([[0.0, np.nan, 2.0], [3.0, 4.0, np.nan]])


def big_endian(x):
    return x.astype(">f8")


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "make",
    [
        *(lambda x, t=t: x.astype(t) for t in ("f2", "f4", "f8", "g", "i1", "u1", "i8", "u8")),
        big_endian,
        read_only,
        np.asfortranarray,
        jnp.asarray,
        lambda x: jnp.asarray(x, jnp.bfloat16),
        lambda x: jnp.asarray(x, jnp.int8),
        lambda x: x.tolist(),
        lambda x: tuple(map(list, x)),
        lambda x: list(x),
        lambda x: x.astype(object),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.ma.masked_array(x),
    ],
)
def test_arrays_of_all_kinds(make):
    values = as_values(make(TRUTH), "x")
    assert values.x.dtype == np.float32
    assert values.x.flags.c_contiguous
    np.testing.assert_array_equal(values.x, TRUTH)
    assert (values.columns, values.rows, values.notes) == ((), (), ())


def test_booleans_and_memory_maps(tmp_path):
    np.testing.assert_array_equal(as_values([[True, False]], "x").x, [[1, 0]])
    np.save(tmp_path / "a.npy", TRUTH)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    np.testing.assert_array_equal(as_values(mapped, "x").x, TRUTH)


def test_single_precision_is_not_copied():
    x = TRUTH.astype(np.float32)
    assert as_values(x, "x").x is x


def test_items_may_have_any_shape_until_a_model_needs_rows():
    assert as_values(np.zeros((2, 3, 4, 5)), "x").x.shape == (2, 3, 4, 5)
    assert as_values([1.0, 2.0], "x").x.shape == (2,)
    with pytest.raises(UsageError, match=r"x: expected shape \(n, d\), got \(2, 3, 4\); flatten"):
        as_table(np.zeros((2, 3, 4)), "x")


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64, np.uint64, bool]
)
def test_masks_become_holes_whatever_lies_under_them(dtype):
    data = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    mask = [[False, True, False], [False, False, True]]
    x = as_values(np.ma.masked_array(data, mask), "x").x
    np.testing.assert_array_equal(x, [[0, np.nan, 1], [1, 0, np.nan]])


def test_what_lies_under_a_mask_is_not_looked_at():
    masked = np.ma.masked_array([[1, 2**62 + 1], [1e300, 2]], [[False, True], [True, False]])
    np.testing.assert_array_equal(as_values(masked, "x").x, [[1, np.nan], [np.nan, 2]])
    masked = np.ma.masked_array(np.array([[1, 2**62 + 1]]), [[False, True]])
    np.testing.assert_array_equal(as_values(masked, "x").x, [[1, np.nan]])


def test_none_is_a_hole():
    np.testing.assert_array_equal(as_values([[0, None, 2], [3.0, 4, None]], "x").x, HOLED)
    some = [[decimal.Decimal("0.5"), np.float32(2), np.bool_(True), np.int8(3)]]
    np.testing.assert_array_equal(as_values(np.array(some, object), "x").x, [[0.5, 2, 1, 3]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("a.csv", "got the text 'a.csv'; read a file by tightbound.data.load"),
        (b"a", "got the text"),
        (3.5, r"expected shape \(n, d\), got \(\), the single value 3.5"),
        (np.float32(2), r"got \(\), the single value 2.0"),
        ({"a": [1]}, "expected an array or a table of numbers, got dict"),
        ({1, 2}, "got set"),
        (object(), "got object"),
        ((i for i in range(3)), "got generator"),
        ([[1, 2], [3]], "rows of unequal length"),
        ([["a", "b"]], "expected real numbers, got an array of type <U1"),
        ([[1.0, "b"]], "expected real numbers, got an array of type <U32"),
        (np.array([[1, "red"], [2, "blue"]], object), r"values of type str \('red', 'blue'\)"),
        (np.array([[1j]]), "expected real numbers, got an array of type complex128"),
        (np.array([["2020-01-01"]], "M8[D]"), "got an array of type datetime64"),
        (np.zeros(2, [("a", float)]), "expected real numbers, got an array of type"),
        ([[2**70 + 1]], "expected integers of at most 15 digits, got 1180591620717411303425"),
        ([[10**400]], "expected integers of at most 15 digits"),
    ],
)
def test_other_objects_are_refused_in_words(values, message):
    with pytest.raises(UsageError, match=f"^x: .*{message}") as error:
        as_values(values, "x")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_objects_that_fail_to_become_arrays_are_refused():
    class Gone:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("on another device\nfar away")

    with pytest.raises(UsageError, match=r"got Gone which .* \(on another device\)"):
        as_values(Gone(), "x")
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(UsageError, match="pass its .toarray"):
        as_values(sparse.csr_matrix(np.eye(2)), "x")
    with pytest.raises(UsageError, match="got Dataset; pass a part of it, such as .train"):
        as_values(tb.data.load(np.ones((10, 1))), "x")


# pandas


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas", reason="pandas is not installed")


@pytest.fixture
def polars():
    return pytest.importorskip("polars", reason="polars is not installed")


def test_pandas_columns_of_all_kinds(pandas):
    frame = pandas.DataFrame(
        {
            "float": [0.5, np.nan],
            "int": [1, 2],
            "bool": [True, False],
            "Int64": pandas.array([3, None], dtype="Int64"),
            "UInt8": pandas.array([3, 4], dtype="UInt8"),
            "Float32": pandas.array([None, 0.25], dtype="Float32"),
            "boolean": pandas.array([None, True], dtype="boolean"),
            "object": np.array([1, None], object),
            "sparse": pandas.arrays.SparseArray([0, 7]),
            8: [8, 9],
        }
    )
    values = as_values(frame, "x")
    nan = np.nan
    np.testing.assert_array_equal(
        values.x,
        [[0.5, 1, 1, 3, 3, nan, nan, 1, 0, 8], [nan, 2, 0, nan, 4, 0.25, 1, nan, 7, 9]],
    )
    assert values.columns == (*map(str, frame.columns),)
    assert (values.rows, values.notes) == ((), ())


def test_pandas_arrow_types(pandas):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = pandas.DataFrame(
        {
            "a": pandas.array([1, None], dtype="int64[pyarrow]"),
            "b": pandas.array([True, None], dtype="bool[pyarrow]"),
            "c": pandas.array([0.5, 2], dtype="double[pyarrow]"),
        }
    )
    np.testing.assert_array_equal(as_values(frame, "x").x, [[1, 1, 0.5], [np.nan, np.nan, 2]])


@pytest.mark.parametrize("index", [["u", "v"], [7, 9], [1, 0]])
def test_the_index_of_a_frame_names_rows_and_is_no_column(pandas, index):
    frame = pandas.DataFrame(TRUTH, columns=["a", "b", "c"], index=index)
    values = as_values(frame, "x")
    np.testing.assert_array_equal(values.x, TRUTH)
    assert values.columns == ("a", "b", "c")
    assert values.rows == tuple(map(str, index))
    assert values.notes == ("the index names the rows and is not a column",)
    series = as_values(frame["b"], "x")
    np.testing.assert_array_equal(series.x, TRUTH[:, 1:2])
    assert series.columns == ("b",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: ["red", "blue"], r"got str \('red', 'blue'\)"),
        (lambda p: p.Categorical(["red", "blue"]), r"got category \('red', 'blue'\)"),
        (lambda p: p.to_datetime(["2020-01-01", "2021-01-01"]), r"got datetime64.* \(.*2020"),
        (lambda p: p.to_timedelta([1, 2]), "got timedelta64"),
        (lambda p: np.array([{"a": 1}, 2], object), r"values of type dict \(.'a': 1.\)"),
        (lambda p: np.array([1j, 2]), "got complex128"),
        (lambda p: p.array([2**62 + 1, None], dtype="Int64"), "integers of at most 15 digits"),
    ],
)
def test_other_columns_are_refused_by_name_with_values(pandas, make, message):
    frame = pandas.DataFrame({"a": [0.5, 1.0], "colour": make(pandas)})
    with pytest.raises(UsageError, match=f"^x: column 'colour': expected .*{message}"):
        as_values(frame, "x")


def test_pandas_objects_that_are_no_table_are_refused(pandas):
    with pytest.raises(UsageError, match="expected a DataFrame, got Index"):
        as_values(pandas.Index([1, 2]), "x")


# polars and Arrow


def test_polars_columns_of_all_kinds(polars):
    frame = polars.DataFrame(
        {
            "float": [0.5, None],
            "nan": [float("nan"), 1.0],
            "int": [1, 2],
            "bool": [True, None],
            "null": [None, None],
            "decimal": [decimal.Decimal("1.5"), None],
        }
    ).with_columns(uint8=polars.Series([1, None], dtype=polars.UInt8))
    values = as_values(frame, "x")
    nan = np.nan
    np.testing.assert_array_equal(
        values.x, [[0.5, nan, 1, 1, nan, 1.5, 1], [nan, 1, 2, nan, nan, nan, nan]]
    )
    assert values.columns == tuple(frame.columns)
    np.testing.assert_array_equal(as_values(frame["int"], "x").x, [[1], [2]])


def test_other_polars_columns_are_refused(polars):
    frame = polars.DataFrame({"a": [1, 2], "colour": ["red", "blue"]})
    with pytest.raises(UsageError, match=r"column 'colour': .* got string \('red', 'blue'\)"):
        as_values(frame, "x")
    with pytest.raises(UsageError, match="got categorical"):
        as_values(frame.with_columns(polars.col("colour").cast(polars.Categorical)), "x")
    with pytest.raises(UsageError, match="got a LazyFrame; pass its .collect"):
        as_values(frame.lazy(), "x")


def test_arrow_tables():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = pyarrow.table(
        {
            "a": [1, None],
            "b": [0.5, 1.5],
            "c": [True, None],
            "d": pyarrow.array([decimal.Decimal("2.5"), None]),
            "e": pyarrow.nulls(2),
            "f": pyarrow.array([1.5, None], pyarrow.float16()),
        }
    )
    nan = np.nan
    np.testing.assert_array_equal(
        as_values(table, "x").x, [[1, 0.5, 1, 2.5, nan, 1.5], [nan, 1.5, nan, nan, nan, nan]]
    )
    coded = pyarrow.table({"a": pyarrow.array(["u", "v"]).dictionary_encode()})
    with pytest.raises(UsageError, match=r"column 'a': .* got dictionary<.*> \('u', 'v'\)"):
        as_values(coded, "x")


def test_neither_pandas_nor_polars_is_imported(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.partition(".")[0] in ("pandas", "polars", "pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    np.testing.assert_array_equal(as_values(TRUTH.tolist(), "x").x, TRUTH)


# precision

COUNT = np.arange(40.0)


@pytest.mark.parametrize(
    "column",
    [
        1.7e9 + COUNT,
        (1.7e9 + COUNT).astype(np.longdouble),
        1_700_000_000 + np.arange(40),
        np.uint64(2**63) + np.arange(40).astype(np.uint64),  # equal as float64 too
        -(2**24) - np.arange(40),
        1 + 1e-9 * COUNT,
        1e-60 * COUNT,
        1e-40 * COUNT,  # devices flush these to zero
        np.append(1.7e9 + COUNT, 0.0),  # which no outlier hides
        np.append(1.7e9 + COUNT, np.zeros(25)),
        np.append(1.7e9 + COUNT, np.nan),
    ],
)
def test_columns_that_single_precision_cannot_tell_apart_are_refused(column):
    x = np.stack([np.linspace(-1, 1, len(column)).astype(column.dtype), column], axis=1)
    with pytest.raises(UsageError, match=r"column 1 .*too close together .* subtract an offset"):
        as_values(x, "x")
    assert as_values(x, "x", np.float64).x.dtype == np.float64


@pytest.mark.parametrize(
    "column",
    [
        COUNT,
        0.1 * COUNT,
        1990 + COUNT,
        290.15 + 5 * np.sin(COUNT),
        101_325 + 500 * np.sin(COUNT),
        1.7e9 + 1e6 * COUNT,
        1e30 * COUNT,
        1e-30 * COUNT,
        2**24 + 2 * np.arange(40),
        2**40 * np.arange(40),
        np.full(40, 0.1),
        np.full(40, 2**24 + 1),
        np.exp(10 * np.sin(COUNT)),
        np.append(np.nan, COUNT),
        np.full(40, np.nan),
        np.random.RandomState(0).standard_cauchy(40),
    ],
)
def test_columns_that_single_precision_can_tell_apart_pass(column):
    x = as_values(column[:, None], "x").x
    np.testing.assert_allclose(x[:, 0], column, rtol=1e-7)


def test_numbers_beyond_single_precision_are_refused_with_their_place():
    x = np.ones((3, 2))
    x[1, 1] = 1e39
    with pytest.raises(UsageError, match=r"x: row 1, column 1 .* is 1e\+39, .* other units"):
        as_values(x, "x")
    x[1, 1] = np.inf  # no matter of precision: the check of the values refuses it
    with pytest.raises(UsageError, match=r"row 1, column 1 .* is inf, expected a finite number"):
        as_table(x, "x")


def test_lossy_columns_and_holes_are_named(pandas):
    frame = pandas.DataFrame({"a": COUNT, "time": 1.7e9 + COUNT})
    with pytest.raises(UsageError, match=r"x: column 'time': its values, from 1700000000.0 to"):
        as_values(frame * 1.0, "x")
    frame["time"] = np.nan
    with pytest.raises(UsageError, match=re.escape("row 0 (counted from 0), column 'time' is nan")):
        as_table(frame, "x")


def test_types_survive_where_they_are_asked_for():
    assert as_array(np.ones((2, 2), np.uint8), "x").x.dtype == np.uint8
    assert as_array(np.ones((2, 2), ">i4"), "x").x.dtype == np.int32


# the public entries


def test_public_entries_take_what_the_door_takes(pandas, polars):
    x = np.random.RandomState(1).uniform(size=(12, 3)).round(2)
    frame = pandas.DataFrame(x, index=list("abcdefghijkl"))
    model, posterior = tb.autoencoder(frame, latent=1, hidden=(2,))
    objective = tb.objectives.elbo()
    bounds = [
        tb.fit(model, posterior, data, objective=objective, batch_size=6, epochs=1).history
        for data in (x, frame)
    ]
    assert bounds[0][-1].train_bound == bounds[1][-1].train_bound
    evidence = [
        tb.evaluate(model, posterior, data, k=2).log_evidence.tolist()
        for data in (x, frame, polars.DataFrame(x), x.tolist(), jnp.asarray(x, jnp.float32))
    ]
    assert all(values == evidence[0] for values in evidence)
    holed = np.ma.masked_array(x, x > 2)
    holed[3, 1] = np.ma.masked
    for call in (
        lambda: as_table(holed, "x"),
        lambda: tb.models.bernoulli_mixture(holed, components=2),
    ):
        with pytest.raises(UsageError, match=r"row 3, column 1 .* is nan, .* missing values \(NaN"):
            call()
    assert np.isnan(tb.data.load_items(holed).x[3, 1])
    known = np.where(holed.mask, np.nan, x)
    masked, nans = (tb.evaluate(model, posterior, of, k=2) for of in (holed, known))
    np.testing.assert_array_equal(masked.log_evidence, nans.log_evidence)
