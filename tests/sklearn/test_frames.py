"""Frames with words and holes: in as they are, out as they came; and `set_output`."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tightbound as tb
from tests.sklearn.conftest import gaussian, mixed
from tightbound.sklearn import DeepDetector, DeepImputer, DeepLatentModel

pytestmark = pytest.mark.slow


def in_pandas(columns):
    frame = pd.DataFrame(columns)
    return frame.astype({"size": pd.CategoricalDtype(["S", "M", "L"]), "fir": "string"})


def in_polars(columns):
    return pl.DataFrame(columns).with_columns(pl.col("size").cast(pl.Enum(["S", "M", "L"])))


FRAMES = {"pandas": in_pandas, "polars": in_polars}
COLUMNS = mixed()


@pytest.fixture(scope="module", params=FRAMES)
def frame(request):
    return FRAMES[request.param](COLUMNS)


@pytest.fixture(scope="module")
def imputer(frame):
    return DeepImputer(candidates="mixture", random_state=0).fit(frame)


def cells(frame):
    """Rows of Python's values, None in holes."""
    if isinstance(frame, pl.DataFrame):
        return frame.rows()
    plain = frame.astype(object)
    return [tuple(row) for row in plain.where(frame.notna(), None).itertuples(index=False)]


def test_a_frame_comes_back_whole_in_its_own_types(imputer, frame):
    filled = imputer.transform(frame)
    assert type(filled) is type(frame)
    assert list(filled.columns) == list(frame.columns)
    # Whole numbers with holes are floats in pandas, and stay so.
    assert list(filled.dtypes) == list(frame.dtypes)
    for before, after in zip(cells(frame), cells(filled), strict=True):
        assert None not in after
        assert all(old in (None, new) for old, new in zip(before, after, strict=True))
    size = {row[0] for row in cells(filled)}
    assert size == {"S", "M", "L"}
    assert {row[4] for row in cells(filled)} == {"Black Forest"}
    assert all(row[3] == int(row[3]) >= 0 for row in cells(filled))


def test_columns_that_the_model_does_not_see_are_said(imputer):
    assert imputer.schema_.names == ("size", "height", "fir", "cones")
    assert dict(imputer.schema_.dropped) == {"wood": "one value alone ('Black Forest')"}
    assert imputer.n_features_in_ == 5
    assert imputer.get_feature_names_out().tolist() == list(COLUMNS)


def test_several_imputations_are_frames(imputer, frame):
    tables = imputer.sample(frame, n_imputations=3)
    assert all(type(table) is type(frame) for table in tables)
    assert cells(tables[0]) != cells(tables[1])
    assert not any(None in row for table in tables for row in cells(table))


def test_pandas_keeps_its_index(imputer):
    frame = in_pandas(COLUMNS).set_index(pd.Index([f"r{i}" for i in range(60)]))
    if not isinstance(imputer.coding_.names, tuple):
        raise AssertionError
    assert imputer.transform(frame).index.tolist() == frame.index.tolist()


@pytest.mark.slow
def test_set_output_has_it_as_asked(imputer, frame):
    asked = (
        DeepImputer(candidates="mixture", random_state=0)
        .set_output(transform="pandas")
        .fit(gaussian(40, holes=0.1))
    )
    found = asked.transform(gaussian(6, holes=0.5))
    assert isinstance(found, pd.DataFrame)
    assert found.columns.tolist() == ["x0", "x1", "x2"]
    latent = DeepLatentModel(candidates="gaussian", random_state=0).set_output(transform="polars")
    found = latent.fit_transform(gaussian(40))
    assert isinstance(found, pl.DataFrame)
    assert found.columns == ["deeplatentmodel0"]
    own = "polars" if isinstance(frame, pl.DataFrame) else "pandas"
    try:
        out = imputer.set_output(transform=own).transform(frame)
    finally:
        imputer.set_output(transform="default")
    assert list(out.dtypes) == list(frame.dtypes)


@pytest.mark.slow
def test_latent_models_and_detectors_take_frames(frame):
    model = DeepLatentModel(candidates="mixture", random_state=0).fit(frame)
    z = model.transform(frame)
    assert z.shape == (60, model.get_feature_names_out().size)
    rows = model.inverse_transform(z)
    assert rows.shape == (60, 5)
    assert rows.dtype == object
    assert set(rows[:, 0]) <= {"S", "M", "L"}
    assert set(rows[:, 4]) == {"Black Forest"}
    drawn = model.sample(20)
    assert set(drawn[:, 2]) <= {"no", "yes"}
    assert np.isfinite(model.score(frame))
    detector = DeepDetector(candidates="mixture", random_state=0).fit(frame)
    assert set(detector.predict(frame)) <= {-1, 1}


def test_a_level_that_was_not_there_is_refused(imputer, frame):
    columns = {name: list(values) for name, values in COLUMNS.items()}
    columns["fir"][3] = "perhaps"
    other = pd.DataFrame(columns) if isinstance(frame, pd.DataFrame) else pl.DataFrame(columns)
    with pytest.raises(ValueError, match="row 3 .*'fir'.*got 'perhaps'"):
        imputer.transform(other)


def test_other_columns_are_refused_in_scikit_learns_words(imputer, frame):
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        imputer.transform(frame[list(frame.columns)[::-1]])
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        imputer.transform(frame[list(frame.columns)[:4]])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_array_is_refused_where_the_fit_had_words(imputer):
    with pytest.raises(ValueError, match="expected a frame as at fit, whose column 'size'"):
        imputer.transform(np.zeros((3, 5)))


@pytest.mark.slow
def test_what_is_said_of_columns_goes_before_what_is_inferred(frame, tmp_path):
    said = {"real": ["cones"], "drop": ["fir"]}
    imputer = DeepImputer(schema=said, candidates="mixture", random_state=0).fit(frame)
    assert imputer.schema_.names == ("size", "height", "cones")
    assert imputer.schema_.column("cones").kind == "real"
    left = [row[2] for row in cells(imputer.transform(frame))]
    assert left == [row[2] for row in cells(frame)]
    path = tmp_path / "schema.toml"
    path.write_text(imputer.schema_.to_toml())
    for schema in (imputer.schema_, str(path), path):
        again = DeepImputer(schema=schema, candidates="mixture", random_state=0).fit(frame)
        assert again.schema_.columns == imputer.schema_.columns


def test_a_column_that_names_the_rows_may_have_no_holes():
    names = [f"tree {i}" for i in range(60)]
    frame = pd.DataFrame({"name": names, **COLUMNS})
    imputer = DeepImputer(candidates="mixture", random_state=0).fit(frame)
    assert "names the rows" in dict(imputer.schema_.dropped)["name"]
    assert imputer.transform(frame)["name"].tolist() == names
    frame.loc[2, "name"] = None
    with pytest.raises(ValueError, match="column 'name' has holes, and the model does not see it"):
        imputer.transform(frame)


def test_a_schema_is_of_a_frame():
    with pytest.raises(ValueError, match="got an array: give its columns names"):
        DeepImputer(schema={"real": ["x0"]}).fit(gaussian(20))


def test_frames_of_numbers_alone_are_read_by_their_kinds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=40), "b": rng.integers(0, 2, 40)})
    model = DeepLatentModel(candidates="gaussian", random_state=0).fit(frame)
    assert [column.kind for column in model.schema_.columns] == ["real", "binary"]
    assert model.sample(3).dtype == np.float64
    array = DeepLatentModel(candidates="gaussian", random_state=0).fit(frame.to_numpy())
    assert [column.kind for column in array.schema_.columns] == ["real", "real"]
    assert array.coding_.own is None


@pytest.mark.parametrize("kind", [DeepLatentModel, DeepDetector])
def test_columns_of_one_value_are_left_out_of_arrays(kind):
    x = np.insert(gaussian(60), 1, 7.0, axis=1)
    x = np.insert(x, 4, np.nan, axis=1)
    with_them = kind(candidates="gaussian", random_state=0).fit(x)
    without = kind(candidates="gaussian", random_state=0).fit(gaussian(60))
    assert dict(with_them.schema_.dropped) == {"x1": "one value alone", "x4": "no value is known"}
    np.testing.assert_array_equal(with_them.score_samples(x), without.score_samples(gaussian(60)))


def test_new_rows_have_the_one_value_too():
    x = np.insert(gaussian(60), 1, 7.0, axis=1)
    model = DeepLatentModel(candidates="gaussian", random_state=0).fit(x)
    assert (model.sample(4)[:, 1] == 7).all()
    x[5, 1] = np.nan
    imputer = DeepImputer(candidates="gaussian", random_state=0).fit(x)
    assert imputer.transform(x)[5, 1] == 7


def test_a_column_without_any_value_cannot_be_filled():
    x = np.insert(gaussian(30), 1, np.nan, axis=1)
    with pytest.raises(tb.UsageError, match="column 'x1' has no value at all"):
        DeepImputer(candidates="gaussian").fit(x)


def test_single_precision_stays():
    x = gaussian(30, holes=0.1).astype(np.float32)
    assert DeepImputer(candidates="gaussian").fit_transform(x).dtype == np.float32
    assert DeepLatentModel(candidates="gaussian").fit_transform(x).dtype == np.float32


@pytest.mark.parametrize("kind", [DeepLatentModel, DeepImputer, DeepDetector])
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame])
def test_few_rows_are_refused(kind, make):
    with pytest.raises(ValueError, match=r"8 rows or more to fit, got \d of n_samples = 7"):
        kind().fit(make(gaussian(7)))
