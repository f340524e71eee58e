import hashlib

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError


def whole(ds):
    return np.concatenate([ds.train, ds.validation, ds.test])


def test_array_is_shuffled_once_into_tenths():
    x = np.arange(46.0).reshape(23, 2)
    ds = data.load(x)
    order = np.random.RandomState(0).permutation(23)
    np.testing.assert_array_equal(whole(ds), x[order].astype(np.float32))
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (19, 2, 2)
    assert (ds.name, ds.units, ds.shape) == ("array", "real", (2,))
    assert ds.split == ("default: shuffled once (seed 0), 80/10/10, 19 train, 2 validation, 2 test")
    assert ds.checksum == hashlib.sha256(x.tobytes()).hexdigest()


@pytest.mark.parametrize("n", [10, 11, 19, 20, 99])
def test_each_part_has_an_item(n):
    ds = data.load(np.ones((n, 1)))
    assert min(len(ds.train), len(ds.validation), len(ds.test)) >= 1
    assert len(whole(ds)) == n


def test_too_few_items():
    with pytest.raises(UsageError, match="expected at least 10 items .* got 9"):
        data.load(np.ones((9, 3)))


@pytest.mark.parametrize(
    ("values", "units"),
    [([0, 1], "binary"), ([0, 0.5], "grey"), ([0, 1.5], "real"), ([-0.5, 1], "real")],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_are_inferred(values, units, dtype):
    assert data.load(np.tile(np.array([values]).astype(dtype), (10, 1))).units == units


def test_integers_are_no_bytes():
    x = np.tile(np.array([[0, 255]]), (10, 1))
    ds = data.load(x)
    assert (ds.units, ds.train[0].tolist()) == ("real", [0.0, 255.0])


def test_bytes_are_scaled():
    x = np.tile(np.array([[0, 51, 255]], np.uint8), (10, 1))
    ds = data.load(x)
    np.testing.assert_array_equal(ds.train[0], np.array([0, 0.2, 1], np.float32))
    assert (ds.units, ds.notes) == ("grey", ("values are bytes / 255",))
    assert ds.scale == 255


def test_the_scale_of_bytes_goes_by_their_type_and_is_asked_for_where_it_matters():
    x = np.tile(np.array([[0, 1, 1]], np.uint8), (10, 1))
    with pytest.raises(UsageError, match="got 0 and 1 alone: .* --scale 1 or --scale 255"):
        data.load(x)
    ds = data.load(x, scale=1)
    assert (ds.units, ds.train[0].tolist(), ds.scale) == ("binary", [0, 1, 1], 1)
    ds = data.load(x, scale=255)
    assert (ds.units, ds.train[0, 1], ds.scale) == ("grey", np.float32(1) / np.float32(255), 255)
    assert not data.load(x * np.uint8(0)).train.any()
    assert data.load(x.astype(float), scale=4).train[0].tolist() == [0, 0.25, 0.25]
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(UsageError, match="expected scale, a divisor, to be a positive number"):
            data.load(x, scale=scale)
    assert data.load(x * np.uint8(255)).units == "binary"
    assert data.load(x.astype(bool)).train[0].tolist() == [0, 1, 1]


def test_images_are_flattened_by_row():
    x = np.random.RandomState(0).uniform(size=(10, 2, 3)).astype(np.float32)
    ds = data.load(x)
    assert ds.shape == (2, 3)
    order = np.random.RandomState(0).permutation(10)
    np.testing.assert_array_equal(whole(ds).reshape(10, 2, 3), x[order])


def test_npy_and_npz_with_one_array(tmp_path):
    x = np.arange(20.0).reshape(10, 2)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", anything=x)
    np.savez_compressed(tmp_path / "c.npz", x=x, y=np.zeros(3))
    for name in ("a.npy", "b.npz", "c.npz"):
        ds = data.load(tmp_path / name)
        np.testing.assert_array_equal(np.sort(whole(ds), axis=0), x)
        assert ds.name == name
        assert ds.checksum == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    np.testing.assert_array_equal(data.load(str(tmp_path / "a.npy")).train, ds.train)


def test_npz_may_name_the_split(tmp_path):
    parts = {"train": np.full((3, 2), 7.0), "validation": np.ones((1, 2)), "test": np.zeros((2, 2))}
    np.savez(tmp_path / "a.npz", **parts)
    ds = data.load(tmp_path / "a.npz")
    for name, part in parts.items():
        np.testing.assert_array_equal(getattr(ds, name), part)
    assert ds.units == "real"  # of all parts together
    assert ds.split == "default: as named in the file, 3 train, 1 validation, 2 test"


def test_named_bytes_are_scaled_alike(tmp_path):
    parts = {
        name: np.full((2, 2), value, np.uint8)
        for name, value in (("train", 255), ("validation", 1), ("test", 0))
    }
    np.savez(tmp_path / "a.npz", allow_pickle=False, **parts)
    ds = data.load(tmp_path / "a.npz")
    assert (ds.train[0, 0], ds.validation[0, 0]) == (1, np.float32(1) / np.float32(255))
    np.savez(tmp_path / "a.npz", allow_pickle=False, **parts | {"test": np.zeros((2, 2))})
    with pytest.raises(
        UsageError, match="bytes in all parts or in none, got train uint8.* float64"
    ):
        data.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones((10, 1)), "b": np.ones((10, 1))}, "train, validation, test.* got a, b"),
        ({"train": np.ones((10, 1)), "test": np.ones((10, 1))}, "got train, test"),
        ({}, "got nothing"),
        (
            {"train": np.ones((2, 2)), "validation": np.ones((2, 2)), "test": np.ones((2, 3))},
            r"items of one shape in all parts, got train \(2, 2\).*test \(2, 3\)",
        ),
        (
            {
                "train": np.ones((2, 2)),
                "validation": np.full((2, 2), np.inf),
                "test": np.ones((2, 2)),
            },
            r"a\.npz\[validation\]: row 0, column 0",
        ),
    ],
)
def test_other_archives_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=message):
        data.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(10), r"array: expected shape \(n, d\), got \(10,\); reshape one column to"),
        (np.ones(()), r"expected shape \(n, d\), got \(\)"),
        (np.ones((0, 3)), r"at least one row and one column, got shape \(0, 3\)"),
        (np.ones((10, 0, 3)), r"at least one row and one column, got shape \(10, 0, 3\)"),
        (np.array([["a"]] * 10), "expected real numbers"),
    ],
)
def test_other_arrays_are_refused(x, message):
    with pytest.raises(UsageError, match=message):
        data.load(x)


@pytest.mark.parametrize("bad", [-np.inf, np.inf, 1e300])
def test_values_that_are_not_finite_are_named(bad):
    x = np.zeros((12, 2, 3))
    x[7, 1, 2] = bad
    with pytest.raises(UsageError, match="array: row 7, column 5 .* expected a finite number"):
        data.load(x)


def test_missing_values_are_kept_and_counted():
    x = np.zeros((12, 2, 3))
    x[7, 1, 2] = np.nan
    ds = data.load(x)
    assert ds.notes == ("1 of 72 values are missing",)
    assert ds.units == "binary"
    assert sum(np.isnan(part).sum() for part in (ds.train, ds.validation, ds.test)) == 1
    items = data.load_items(x)
    assert items.notes == ds.notes
    np.testing.assert_array_equal(np.argwhere(np.isnan(items.x)), [[7, 5]])


def test_pickles_are_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('unpickled')",))

    np.save(tmp_path / "a.npy", np.array([[Bomb()]] * 10, object), allow_pickle=True)
    with pytest.raises(UsageError, match="objects"):
        data.load(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=np.array([[Bomb()]] * 10, object))
    with pytest.raises(UsageError, match="objects"):
        data.load(tmp_path / "a.npz")
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(
        UsageError, match=r"expected file suffix to be one of \.npy, .*, got \'\.pkl\'"
    ):
        data.load(tmp_path / "a.pkl")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("keep", [0, 20, 200])
def test_damaged_files_are_refused(tmp_path, name, keep):
    save = np.save if name.endswith("y") else np.savez
    save(tmp_path / name, np.ones((100, 3)))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:keep])
    with pytest.raises(UsageError, match=f"{name}.*(damaged|empty file)"):
        data.load(tmp_path / name)


def test_mistaken_suffix(tmp_path):
    with (tmp_path / "a.npz").open("wb") as handle:
        np.save(handle, np.ones((10, 2)))
    with pytest.raises(UsageError, match="name it .npy"):
        data.load(tmp_path / "a.npz")
    with (tmp_path / "a.npy").open("wb") as handle:
        np.savez(handle, x=np.ones((10, 2)))
    with pytest.raises(UsageError, match="name it .npz"):
        data.load(tmp_path / "a.npy")


def test_missing_file(tmp_path):
    for name in (tmp_path / "a.npy", "a.npy", "folder/"):
        with pytest.raises(UsageError, match="no such file"):
            data.load(name)
    (tmp_path / "b.txt").write_text("no image")
    with pytest.raises(UsageError, match="or a folder with images .*, got a folder with b.txt"):
        data.load(tmp_path)


def test_options_of_named_sets_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((10, 2)))
    with pytest.raises(
        UsageError, match="expected split, where data are your own, to be one of default"
    ):
        data.load(tmp_path / "a.npy", split="iwae")
    with pytest.raises(UsageError, match="path= with a named data set only"):
        data.load(tmp_path / "a.npy", path=tmp_path)
