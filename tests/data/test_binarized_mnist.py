import gzip
import hashlib
import re

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError

NAMES = [f"binarized_mnist_{part}.amat" for part in ("train", "valid", "test")]


def amat(rows):
    return "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()


@pytest.fixture
def parts():
    rng = np.random.RandomState(3)
    return [rng.randint(0, 2, size=(n, 784)) for n in (5, 3, 2)]


@pytest.fixture
def contents(parts):
    return {name: amat(rows) for name, rows in zip(NAMES, parts, strict=True)}


def test_values_are_the_digits_of_the_text(tmp_path, parts, contents, write_all):
    ds = data.load("binarized_mnist", path=write_all(tmp_path, contents), verify=False)
    for got, expected in zip((ds.train, ds.validation, ds.test), parts, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert (ds.units, ds.shape, ds.labels) == ("binary", (28, 28), {})
    assert ds.split == "default: as published, 5 train, 3 validation, 2 test"


def test_image_is_upright(tmp_path, contents, write_all):
    image = np.zeros((28, 28), int)
    image[1, :20] = 1  # one horizontal stroke near the top
    contents[NAMES[0]] = amat([image.ravel()])
    ds = data.load("binarized_mnist", path=write_all(tmp_path, contents), verify=False)
    np.testing.assert_array_equal(ds.train.reshape(28, 28), image)


def test_gzip_is_accepted_by_the_digest_of_the_text(tmp_path, contents, write_all, publish):
    sums = [hashlib.sha256(content).hexdigest() for content in contents.values()]
    publish("binarized_mnist", *({"digests": (digest,)} for digest in sums))
    plain = data.load("binarized_mnist", path=write_all(tmp_path / "plain", contents))
    packed = {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}
    zipped = data.load("binarized_mnist", path=write_all(tmp_path / "gz", packed))
    np.testing.assert_array_equal(plain.train, zipped.train)
    assert plain.checksum == zipped.checksum != "unverified"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[:-1], "expected rows of exactly 1,568 bytes, got 4,703"),
        (lambda c: b"", "expected rows of exactly 1,568 bytes, got 0"),
        (lambda c: c[:1568] + b"2" + c[1569:], "row 1, byte 0 (counted from 0) is '2'"),
        (lambda c: c[:1571] + b"," + c[1572:], "row 1, byte 3 (counted from 0) is ','"),
        (lambda c: c[:-1] + b" ", "row 2, byte 1567 (counted from 0) is ' '"),
        (lambda c: c[:1] + b"\n" + c[2:], r"row 0, byte 1 (counted from 0) is '\n'"),
    ],
)
def test_text_is_parsed_strictly(tmp_path, contents, write_all, damage, message):
    contents[NAMES[1]] = damage(contents[NAMES[1]])
    folder = write_all(tmp_path, contents)
    with pytest.raises(UsageError, match=f"valid.*{re.escape(message)}"):
        data.load("binarized_mnist", path=folder, verify=False)


def test_real_binarized_mnist(real_data):
    real_data("binarized_mnist")
    ds = data.load("binarized_mnist", download=False)
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (50_000, 10_000, 10_000)
    ones = [round(float(x.mean(dtype=float)), 4) for x in (ds.train, ds.validation, ds.test)]
    assert ones == [0.1306, 0.1311, 0.1325]
    data.check_values(ds.train, "binary", "train")
