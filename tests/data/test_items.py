"""Rows keep their identity: which row of the source each item is, and all of them in order."""

import os

import numpy as np
import pytest
from PIL import Image

from tightbound import data
from tightbound.core.errors import UsageError

X = np.random.RandomState(3).normal(size=(23, 4)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 9, 23])
def test_items_come_in_order_whatever_their_number(tmp_path, n):
    np.save(tmp_path / "a.npy", X[:n])
    np.savetxt(tmp_path / "a.csv", X[:n], delimiter=",", fmt="%.9g")
    for source in (tmp_path / "a.npy", str(tmp_path / "a.csv"), X[:n], X[:n].tolist()):
        found = data.load_items(source)
        np.testing.assert_array_equal(found.x, X[:n])
        assert (found.shape, found.scale) == ((4,), 1.0)
    assert found.name == "array"
    assert data.load_items(tmp_path / "a.npy").name == "a.npy"


def test_parts_know_their_rows_in_the_source(tmp_path):
    np.save(tmp_path / "a.npy", X)
    for ds in (data.load(X), data.load(tmp_path / "a.npy")):
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(ds, part), X[ds.rows[part]])
        assert sorted(np.concatenate(list(ds.rows.values()))) == list(range(23))
    np.savez(tmp_path / "b.npz", train=X[:9], validation=X[9:10], test=X[10:])
    ds = data.load(tmp_path / "b.npz")
    assert {part: rows.tolist() for part, rows in ds.rows.items()} == {
        "train": list(range(9)), "validation": [0], "test": list(range(13))
    }  # fmt: skip
    with pytest.raises(UsageError, match="items alone, got the parts train, validation, test"):
        data.load_items(tmp_path / "b.npz")


def test_rows_keep_the_names_of_a_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    ds = data.load(pandas.DataFrame(X, index=[f"p{i}" for i in range(23)], columns=list("abcd")))
    assert ds.columns == ("a", "b", "c", "d")
    assert ds.row_names[ds.rows["test"][0]] == f"p{ds.rows['test'][0]}"
    assert "the index names the rows and is not a column" in ds.notes


def test_bytes_to_be_scored_take_the_scale_of_the_data_fitted():
    pixels = np.tile(np.arange(4, dtype=np.uint8), (10, 1))
    fitted = data.load(pixels)
    assert fitted.scale == 255
    dark = pixels[:1] // 2
    with pytest.raises(UsageError, match="--scale 1 or --scale 255"):
        data.load_items(dark)
    found = data.load_items(dark, scale=fitted.scale)
    np.testing.assert_array_equal(found.x, dark / np.float32(255))
    assert found.notes == ("values are bytes / 255",)


def test_images_keep_their_names_in_natural_order(tmp_path):
    for i in (10, 9, 1, 2):
        Image.new("L", (2, 3), i).save(tmp_path / f"img{i}.png")
    found = data.load_items(tmp_path)
    assert found.row_names == ("img1.png", "img2.png", "img9.png", "img10.png")
    np.testing.assert_array_equal(found.x[:, 0] * 255, [1, 2, 9, 10])
    assert (found.shape, found.scale) == ((3, 2), 255)


def test_what_else_a_file_holds_is_said(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, labels=np.zeros(23), names=np.array(["a"] * 23))
    assert data.load(tmp_path / "a.npz").notes == (
        "other arrays of the file were left out: labels, names",
    )
    parts = {"train": X, "validation": X, "test": X}
    np.savez(tmp_path / "b.npz", allow_pickle=False, **parts, y=np.zeros(2))
    assert data.load(tmp_path / "b.npz").notes == ("other arrays of the file were left out: y",)


@pytest.mark.parametrize("start", [0, 1, 2])
def test_columns_that_count_the_rows_are_said(tmp_path, start):
    numbered = np.column_stack([start + np.arange(23), X])
    np.savetxt(tmp_path / "a.csv", numbered, delimiter=",", header="id,a,b,c,d", comments="")
    notes = data.load_items(tmp_path / "a.csv").notes
    assert notes == ("column 'id' does no more than count the rows",) * (start < 2)


def test_too_few_rows_to_split_name_the_way_to_score():
    with pytest.raises(UsageError, match="for data to be scored use tightbound.data.load_items"):
        data.load(X[:9])


def test_tables_are_not_scaled():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    counts = np.tile(np.array([[0, 7, 200]], np.uint8), (10, 1))
    ds = data.load(pandas.DataFrame(counts))
    assert (ds.train[0].tolist(), ds.scale, ds.units) == ([0, 7, 200], 1, "real")
    assert data.load(pandas.DataFrame(counts), scale=200).train[0, 2] == 1


def test_items_of_any_shape_are_flattened_by_row():
    x = np.random.RandomState(0).uniform(size=(3, 2, 4, 3)).astype(np.float32)
    found = data.load_items(x)
    np.testing.assert_array_equal(found.x, x.reshape(3, 24))
    assert found.shape == (2, 4, 3)


def test_what_is_no_ordinary_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "lost.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty.csv").write_bytes(b"")
    for name, message in {
        "pipe.csv": "expected a file, got a pipe, a socket or a device",
        "folder.csv": "got a folder with nothing",
        "loop.csv": "cannot be read: Too many levels of symbolic links",
        "lost.csv": "no such file or folder",
        "empty.csv": "expected data, got an empty file",
        "a" * 300 + ".csv": "cannot be read: File name too long",
        "nul\0.csv": "cannot be read: .*embedded null",
        "b.cvs": "no such file or folder",
    }.items():
        with pytest.raises(UsageError, match=message) as error:
            data.load_items(tmp_path / name)
        assert "\n" not in str(error.value)
    (tmp_path / "b.cvs").write_text("1,2\n")
    with pytest.raises(UsageError, match="expected file suffix .*; did you mean .csv"):
        data.load_items(tmp_path / "b.cvs")
