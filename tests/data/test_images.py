import hashlib

import numpy as np
import pytest
from PIL import Image

from tightbound import data
from tightbound.errors import UsageError


@pytest.fixture
def pixels():
    return np.random.RandomState(6).randint(0, 256, size=(10, 4, 6)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, pixels):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in reversed(range(10)):
        Image.fromarray(pixels[i]).save(folder / f"{i}.{'png' if i % 2 else 'PNG'}")
    return folder


def unshuffled(ds):
    parts = np.concatenate([ds.train, ds.validation, ds.test])
    rows = np.empty_like(parts)
    rows[np.random.RandomState(0).permutation(len(parts))] = parts
    return rows


def test_images_in_order_of_their_names(folder, pixels):
    (folder / "notes.txt").write_text("not an image")
    (folder / "._0.png").write_bytes(b"not an image")
    ds = data.load(folder)
    np.testing.assert_array_equal(
        unshuffled(ds).reshape(10, 4, 6), pixels.astype(np.float32) / np.float32(255)
    )
    assert (ds.name, ds.shape, ds.units) == ("pictures", (4, 6), "grey")
    names = sorted(path.name for path in folder.glob("[0-9]*"))
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    assert ds.checksum == hashlib.sha256("".join(sums).encode()).hexdigest()


def test_colours_stay_colours(folder):
    for i in range(9):
        Image.new("RGB", (6, 4), (255, 51, 0)).save(folder / f"{i}.{'png' if i % 2 else 'PNG'}")
    ds = data.load_items(folder)
    assert ds.shape == (4, 6, 3)
    assert "items are colour images of shape (height, width, 3), red, green, blue" in ds.notes
    assert "some images are grey: red, green and blue are equal in them" in ds.notes
    np.testing.assert_allclose(ds.x[0].reshape(4, 6, 3)[2, 3], [1, 0.2, 0])
    last = ds.x[9].reshape(4, 6, 3)
    assert (last == last[..., :1]).all()


def test_grey_stored_as_colour_is_grey(folder, pixels):
    for i in range(10):
        grey = Image.fromarray(pixels[i]).convert("RGBA" if i % 2 else "RGB")
        grey.save(folder / f"{i}.{'png' if i % 2 else 'PNG'}")
    ds = data.load_items(folder)
    np.testing.assert_array_equal(np.rint(ds.x * 255).reshape(10, 4, 6), pixels)
    assert "images stored as colours hold grey alone, and were read as grey" in ds.notes


def test_black_and_white_is_binary(folder):
    for i in range(10):
        Image.new("1", (6, 4), i % 2).save(folder / f"{i}.{'png' if i % 2 else 'PNG'}")
    assert data.load(folder).units == "binary"


def test_jpeg(folder):
    Image.new("L", (6, 4), 200).save(folder / "99.jpg")
    rows = unshuffled(data.load(folder))
    assert len(rows) == 11
    np.testing.assert_allclose(rows[-1], 200 / 255, atol=1 / 255)


def test_size_that_differs_is_named(folder):
    Image.new("L", (4, 6)).save(folder / "5.png")
    with pytest.raises(UsageError, match=r"5\.png: .* 6x4 as the first \(0\.PNG\), got 4x6"):
        data.load(folder)


def test_damaged_image_is_named(folder):
    content = (folder / "3.png").read_bytes()
    for bad in (b"", b"nothing", content[:40], content[:-30]):
        (folder / "3.png").write_bytes(bad)
        with pytest.raises(
            UsageError, match=r"3\.png: expected (an image, got damaged|data, got an empty)"
        ):
            data.load(folder)


def test_deep_images_are_refused(folder):
    deep = np.full((4, 6), 40_000, np.uint16)
    Image.fromarray(deep).save(folder / "3.png")
    with pytest.raises(UsageError, match=r"3\.png: expected 8 bits a channel"):
        data.load(folder)
