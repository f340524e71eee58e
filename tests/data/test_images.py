import hashlib
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tightbound import data
from tightbound.core.errors import UsageError


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


# kinds of images


def saved(folder, image, name="3.png", **options):
    image.save(folder / name, **options)
    return folder


def png(width, height, bits, colour, row):
    """A PNG of any depth and kind of colour; Pillow does not write all of them."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = (b"\0" + row) * height
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("TIFF", "tif"), ("BMP", "bmp"), ("GIF", "gif"), ("PPM", "pgm"), ("TGA", "tga")],
)
def test_one_image_of_another_kind_is_read_like_the_others(folder, pixels, form, suffix):
    Image.fromarray(pixels[3]).save(folder / f"10.{suffix}", form)
    found = data.load_items(folder)
    assert len(found.x) == 11
    np.testing.assert_array_equal(np.rint(found.x[10] * 255), pixels[3].ravel())
    assert f"images are in the natural order of their names, 0.PNG to 10.{suffix}" in found.notes


def test_what_is_left_out_is_said(folder):
    (folder / "notes.txt").write_text("")
    (folder / ".hidden.png").write_text("")
    (folder / "more").mkdir()
    found = data.load_items(folder)
    assert (
        "3 other entries of the folder were left out: .hidden.png, more, notes.txt" in found.notes
    )


@pytest.mark.parametrize("suffix", ["psd", "heic", "SVG"])
def test_images_that_are_not_read_are_named(folder, suffix):
    (folder / f"a.{suffix}").write_bytes(b"")
    with pytest.raises(UsageError, match=rf"a\.{suffix}: expected images \.png .*; convert it"):
        data.load_items(folder)


def test_transparent_pixels_are_refused_and_opaque_ones_are_not(folder, pixels):
    glyph = np.zeros((4, 6, 4), np.uint8)
    glyph[1:3, 2:4, 3] = 255  # black on transparent black: all of it stands in the alpha channel
    for image in (
        Image.fromarray(glyph),
        Image.fromarray(glyph).convert("LA"),
        Image.fromarray(pixels[3]).convert("P"),
    ):
        options = {"transparency": int(pixels[3, 0, 0])} if image.mode == "P" else {}
        with pytest.raises(UsageError, match=r"3\.png: .* got transparent pixels, .* flatten it"):
            data.load_items(saved(folder, image, **options))
    glyph[..., 3] = 255
    glyph[..., :3] = pixels[3][..., None]
    for mode in ("RGBA", "LA"):
        found = data.load_items(saved(folder, Image.fromarray(glyph).convert(mode)))
        np.testing.assert_array_equal(np.rint(found.x[3] * 255), pixels[3].ravel())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_modes_that_lose_nothing_are_right(folder, pixels, mode):
    image = Image.fromarray(pixels[3]).convert(mode)
    found = data.load_items(saved(folder, image))
    expected = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(np.rint(found.x[3] * 255), expected.ravel())


def test_few_bits_are_scaled_by_their_depth(folder):
    (folder / "3.png").write_bytes(png(6, 4, 2, 0, b"\x55\x50"))  # ones out of 0 to 3
    levels = Image.frombytes("P", (6, 4), bytes([1] * 24))
    levels.putpalette([0, 0, 0, 255, 255, 255])
    levels.save(folder / "4.PNG", bits=1)
    for i in (0, 1, 2, *range(5, 10)):
        saved(folder, Image.new("L", (6, 4), 1), f"{i}.{'png' if i % 2 else 'PNG'}")
    found = data.load_items(folder)
    np.testing.assert_array_equal(np.rint(found.x[2:5] * 255)[:, 0], [1, 85, 255])


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda: Image.new("CMYK", (6, 4)), "10.tif", "got mode CMYK"),
        (lambda: Image.new("LAB", (6, 4)), "10.tif", "got mode LAB"),
        (lambda: Image.new("F", (6, 4)), "10.tif", "got mode F"),
        (lambda: Image.new("I", (6, 4)), "10.tif", "got mode I"),
        (lambda: Image.fromarray(np.zeros((4, 6), np.uint16)), "10.tif", "got mode I;16"),
        (lambda: Image.fromarray(np.zeros((4, 6), np.uint16)), "10.pgm", "got mode I"),
    ],
)
def test_modes_that_would_lose_something_are_refused(folder, make, name, message):
    with pytest.raises(UsageError, match=rf"{name}: expected 8 bits a channel, .* {message}"):
        data.load_items(saved(folder, make(), name))


def test_sixteen_bits_that_pillow_would_halve_are_refused(folder):
    (folder / "3.png").write_bytes(png(6, 4, 16, 2, bytes(range(36))))
    with pytest.raises(UsageError, match=r"3\.png: .* got mode RGB of more bits"):
        data.load_items(folder)
    (folder / "3.png").unlink()
    (folder / "3.ppm").write_bytes(b"P6 6 4 65535\n" + bytes(6 * 4 * 6))
    with pytest.raises(UsageError, match=r"3\.ppm: .* got mode RGB of more bits"):
        data.load_items(folder)


@pytest.mark.parametrize(
    ("form", "name"), [("GIF", "10.gif"), ("TIFF", "10.tif"), ("PNG", "10.png")]
)
def test_frames_and_pages_are_refused(folder, pixels, form, name):
    frames = [Image.fromarray(frame) for frame in pixels[:3]]
    frames[0].save(folder / name, form, save_all=True, append_images=frames[1:])
    with pytest.raises(UsageError, match=rf"{name}: expected one image, got 3 frames or pages"):
        data.load_items(folder)


def test_photographs_are_turned_upright(folder, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right
    tall = Image.fromarray(np.ascontiguousarray(np.rot90(pixels[3])))
    found = data.load_items(saved(folder, tall, exif=exif))
    np.testing.assert_array_equal(np.rint(found.x[3] * 255), pixels[3].ravel())
    assert "1 images were turned upright as their EXIF data say" in found.notes


def test_too_many_pixels_are_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UsageError, match=r"0\.PNG: expected an image, got one of too many pixels"):
        data.load_items(folder)


def test_a_flipped_bit_in_a_png_is_found(folder):
    content = bytearray((folder / "3.png").read_bytes())
    content[content.index(b"IDAT") + 12] ^= 1
    (folder / "3.png").write_bytes(content)
    with pytest.raises(UsageError, match=r"3\.png: expected an image, got damaged data"):
        data.load_items(folder)


def test_what_is_no_ordinary_file_is_refused(folder):
    os.mkfifo(folder / "10.png")
    with pytest.raises(UsageError, match=r"10\.png: expected a file, got a pipe"):
        data.load_items(folder)
    (folder / "10.png").unlink()
    (folder / "10.png").mkdir()
    with pytest.raises(UsageError, match=r"10\.png: expected a file, got a folder"):
        data.load_items(folder)
    (folder / "10.png").rmdir()
    (folder / "10.png").symlink_to(folder / "10.png")
    with pytest.raises(UsageError, match=r"10\.png cannot be read: Too many levels"):
        data.load_items(folder)
