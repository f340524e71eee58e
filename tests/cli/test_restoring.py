"""`tightbound inpaint`, `denoise` and `super-resolve`: what they write, and what they refuse."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tightbound as tb

FEW = ("--limit", "6", "--k", "60", "--json")


@pytest.fixture
def fitted(fitted_once, tightbound, tmp_path):
    """The command line beside a small run of digits, named r, and grey images of ones own."""
    shutil.copytree(fitted_once, tmp_path / "runs" / "r")
    np.save("new.npy", tb.data.load("digits").test[:6])
    return tightbound


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.mark.slow
def test_inpainted_images_in_files_and_a_picture(fitted):
    what = ("inpaint", "r", "digits", "--mask", "left half", *FEW)
    status, out, err = fitted(*what, "-o", "all.npz", "--items", "items.csv")
    assert status == 0, err
    line = json.loads(out)
    assert (line["n"], line["k"], line["data"]) == (6, 60, "digits")
    arrays = np.load("all.npz")
    assert arrays["x"].shape == arrays["truth"].shape == (6, 8, 8)
    assert arrays["draws"].shape == (3, 6, 8, 8)
    assert arrays["hidden"][:, :, :4].all()
    assert np.isnan(arrays["seen"][:, :, :4]).all()
    np.testing.assert_array_equal(arrays["x"][:, :, 4:], arrays["truth"][:, :, 4:])
    off = (arrays["x"] - arrays["truth"])[:, :, :4]
    assert line["mean_squared_error"] == pytest.approx(np.mean(off**2), rel=1e-4)
    with open("items.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == list("012345")
    scores = [float(row["log_score"]) for row in rows]
    assert line["log_score"] == pytest.approx(np.mean(scores), rel=1e-5)
    assert all(0 < float(row["ess"]) <= 60 for row in rows)
    assert sum(int(row["unsure"]) for row in rows) == line["of_too_few_draws"]
    assert fitted(*what, "-o", "x.png")[0] == 0
    # Six rows of what was seen, expected, three draws and the truth, in tiles of 7 x 8 pixels.
    assert size_of("x.png") == (6 * 58 - 2, 6 * 58 - 2)
    assert fitted(*what)[0] == 0
    means = np.load(Path("runs") / "r" / "inpaint.npy")
    np.testing.assert_allclose(means.reshape(6, 8, 8), arrays["x"], atol=1e-6)


@pytest.mark.slow
def test_a_mask_of_a_file_is_that_of_one_image_or_of_all(fitted):
    mask = np.zeros((6, 8, 8), np.float32)
    mask[:, 2:4] = 1
    np.save("all.npy", mask)
    np.save("one.npy", mask[0])
    for name in ("all", "one"):
        status, _, err = fitted(
            "inpaint", "r", "new.npy", "--mask", f"{name}.npy", *FEW, "-o", f"{name}-x.npy"
        )
        assert status == 0, err
    np.testing.assert_array_equal(np.load("all-x.npy"), np.load("one-x.npy"))


@pytest.mark.slow
def test_noise_is_added_and_taken_away(fitted):
    what = ("denoise", "r", "digits", "--noise", "0.1", *FEW)
    status, out, err = fitted(*what, "--degrade", "-o", "all.npz")
    assert status == 0, err
    arrays, line = np.load("all.npz"), json.loads(out)
    flipped = arrays["seen"] != arrays["truth"]
    # 384 pixels: fails by chance below 1e-6 for new draws.
    assert abs(flipped.mean() - 0.1) < 4.9 * np.sqrt(0.09 / 384)
    off = np.mean((arrays["x"] - arrays["truth"]) ** 2)
    assert line["mean_squared_error"] == pytest.approx(off, rel=1e-4)
    assert off < flipped.mean()
    status, out, err = fitted(*what, "-o", "as.npz")
    assert status == 0, err
    assert "truth" not in np.load("as.npz")
    assert "mean_squared_error" not in json.loads(out)


@pytest.mark.slow
def test_small_images_become_large(fitted):
    status, out, err = fitted("super-resolve", "r", "new.npy", "--degrade", *FEW, "-o", "all.npz")
    assert status == 0, err
    arrays = np.load("all.npz")
    means = arrays["draws"].reshape(3, 6, 4, 2, 4, 2).mean(axis=(3, 5))
    np.testing.assert_array_equal(
        means, np.broadcast_to(arrays["seen"].reshape(6, 4, 4), means.shape)
    )
    assert json.loads(out)["mean_squared_error"] < 0.25
    np.save("small.npy", arrays["seen"].reshape(6, 16))
    what = ("super-resolve", "r", "small.npy", *FEW, "-o", "again.npy")
    status, _, err = fitted(*what)
    assert status == 0, err
    np.testing.assert_allclose(np.load("again.npy"), arrays["x"].reshape(6, 64), atol=1e-6)
    assert fitted("super-resolve", "r", "new.npy", "--degrade", *FEW, "-o", "x.png")[0] == 0
    assert size_of("x.png") == (6 * 58 - 2, 6 * 58 - 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("inpaint r new.npy", "tightbound inpaint needs --mask"),
        ("inpaint r new.npy --mask left", "expected mask to be one of left half"),
        ("inpaint r new.npy --mask none.npy", "none.npy"),
        ("inpaint r new.npy --mask small.npy", "as truth values, or as 0 and 1"),
        ("inpaint r new.npy --mask centre -o x.txt", "expected --out with a suffix out of .npy"),
        ("inpaint r new.npy --mask centre -o new.npy", "as other files than the data"),
        ("inpaint r new.npy --mask centre --items x.npy", "with a suffix out of .csv"),
        ("inpaint r new.npy --mask centre --draws 0", "--draws"),
        ("denoise r new.npy", "tightbound denoise needs --noise"),
        ("denoise r new.npy --noise -1", "expected --noise above 0, got -1"),
        ("denoise r new.npy --noise 0.7", "probability of a flipped bit"),
        ("denoise r new.npy --noise nan", "expected --noise as a finite number"),
        ("super-resolve r new.npy", "expected items of shape (4, 4) for the run's divided by 2"),
        ("super-resolve r new.npy --factor 1", "--factor"),
        ("super-resolve r new.npy --factor 3", "divides both sides of (8, 8), got 3"),
        ("super-resolve r small.npy", "expected a multiple of 0.25"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(fitted, tmp_path, words, message):
    np.save("small.npy", np.full((6, 16), 0.3, np.float32))
    before = sorted(tmp_path.rglob("*"))
    if "--mask small.npy" in words:
        np.save("small.npy", np.full((8, 8), 0.3, np.float32))
    for word in ("left", "centre"):
        words = words.replace(f"--mask {word}", f"--mask={word}")
    status, out, err = fitted(*words.split())
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before
