import hashlib
import io

import numpy as np
import pytest
import scipy.io

from tightbound import data
from tightbound.core.errors import UsageError

SIZES = {"train": 5, "val": 3, "test": 2}


@pytest.fixture
def images():
    rng = np.random.RandomState(8)
    made = {key: rng.randint(0, 2, size=(n, 28, 28)).astype(np.uint8) for key, n in SIZES.items()}
    for part in made.values():
        part[:, 0, :], part[:, 1:, 0] = 0, 1  # the object (0) lies along the top
    return made


def matlab(images, **changes):
    names = np.empty((1, 101), object)
    names[0, :] = [f"class {i}" for i in range(101)]
    arrays = {"classnames": names}
    for key, part in images.items():
        rows = np.stack([image.ravel(order="F") for image in part])
        arrays[f"{key}_data"] = rows
        arrays[f"{key}_labels"] = np.arange(1, len(part) + 1, dtype=np.uint8)[:, None]
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays | changes)
    return buffer.getvalue()


def test_images_are_upright_and_as_published(tmp_path, images):
    content = matlab(images)
    (tmp_path / "caltech101_silhouettes_28_split1.mat").write_bytes(content)
    ds = data.load("caltech101_silhouettes", path=tmp_path, verify=False)
    for got, key in ((ds.train, "train"), (ds.validation, "val"), (ds.test, "test")):
        np.testing.assert_array_equal(got, images[key].reshape(-1, 784))
    assert {part: labels.tolist() for part, labels in ds.labels.items()} == {
        "train": [1, 2, 3, 4, 5],
        "validation": [1, 2, 3],
        "test": [1, 2],
    }
    assert (ds.units, ds.shape) == ("binary", (28, 28))
    assert "the object is 0" in ds.notes[0]
    assert "differ in distribution" in ds.notes[1]


def test_checksum(tmp_path, images, publish):
    content = matlab(images)
    file = tmp_path / "any name.mat"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    with pytest.raises(UsageError, match=f"expected sha256 eb6735e8.*, got sha256 {digest}"):
        data.load("caltech101_silhouettes", path=file)
    publish("caltech101_silhouettes", {"digests": (digest,)})
    assert data.load("caltech101_silhouettes", path=file).checksum == digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_data": np.zeros((3, 256))}, r"shape \(-1, 784\) under val_data .*\(3, 256\)"),
        (
            {"val_data": np.full((3, 784), 2)},
            "val_data: row 0, column 0 .* is 2.0, expected 0 or 1",
        ),
        ({"test_labels": np.ones((3, 1))}, "expected 2 labels under test_labels, got 3"),
        ({"train_labels": np.array([["x"]] * 5, object)}, "numbers of shape"),
    ],
)
def test_other_contents_are_refused(tmp_path, images, changes, message):
    file = tmp_path / "caltech101_silhouettes_28_split1.mat"
    file.write_bytes(matlab(images, **changes))
    with pytest.raises(UsageError, match=message):
        data.load("caltech101_silhouettes", path=file, verify=False)


def test_real_silhouettes(real_data):
    real_data("caltech101_silhouettes")
    ds = data.load("caltech101_silhouettes", download=False)
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (4_100, 2_264, 2_307)
    assert round(float(ds.train.mean(dtype=float)), 3) == 0.551
