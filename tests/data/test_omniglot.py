import hashlib
import io

import numpy as np
import pytest
import scipy.io

from tightbound import data
from tightbound.core.errors import UsageError


def matlab(**arrays):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays)
    return buffer.getvalue()


@pytest.fixture
def images():
    """Images with a horizontal stroke at the top, so that transposition shows; then their file."""
    rng = np.random.RandomState(5)
    train, test = (rng.uniform(size=(n, 28, 28)).astype(np.float32) for n in (40, 6))
    train[:, 2, :], train[:, :, 2] = 1, 0
    return train, test


def column_major(images):
    return np.stack([image.ravel(order="F") for image in images], axis=1)


@pytest.fixture
def content(images):
    return matlab(
        data=column_major(images[0]).astype(np.float64),
        testdata=column_major(images[1]).astype(np.float64),
        targetchar=np.arange(40)[None],
        testtargetchar=np.arange(6)[None],
    )


@pytest.mark.parametrize("split", ["default", "iwae"])
def test_images_are_upright_and_shuffled_as_in_the_iwae_code(tmp_path, images, content, split):
    (tmp_path / "chardata.mat").write_bytes(content)
    ds = data.load("omniglot", path=tmp_path, split=split, verify=False)
    order = np.random.RandomState(123).permutation(40)
    train, test = (part.reshape(len(part), 784) for part in images)
    np.testing.assert_array_equal(ds.train, train[order[:38]])
    np.testing.assert_array_equal(ds.validation, train[order[38:]])
    np.testing.assert_array_equal(ds.test, test)
    assert ds.train.flags.c_contiguous
    assert ds.labels["train"].tolist() == order[:38].tolist()
    assert ds.labels["test"].tolist() == list(range(6))
    assert (ds.name, ds.units, ds.checksum) == ("omniglot", "grey", "unverified")
    assert ds.split.startswith("iwae: training part of 40 shuffled once")


def test_labels_may_be_missing(tmp_path, images):
    content = matlab(data=column_major(images[0]), testdata=column_major(images[1]))
    (tmp_path / "chardata.mat").write_bytes(content)
    assert data.load("omniglot", path=tmp_path, verify=False).labels == {}


def test_canonical_file_is_known_by_md5(tmp_path, content, publish):
    file = tmp_path / "chardata.mat"
    file.write_bytes(content)
    got = hashlib.md5(content).hexdigest()
    with pytest.raises(UsageError, match=f"expected md5 21ecaf.* got .*md5 {got}"):
        data.load("omniglot", path=file)
    publish("omniglot", {"digests": (got,)})
    ds = data.load("omniglot", path=file)
    assert (ds.name, ds.checksum) == ("omniglot", hashlib.sha256(content).hexdigest())


def test_standin_is_labelled_by_name(tmp_path, content):
    file = tmp_path / "chardata_standin.mat"
    file.write_bytes(content)
    for path in (tmp_path, file):
        ds = data.load("omniglot", path=path, verify=False)
        assert ds.name == "omniglot (stand-in)"
        assert "no match for published numbers" in ds.notes[1]


def test_canonical_file_goes_before_the_standin(tmp_path, content, monkeypatch):
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path / "data"))
    for folder, name in (("data", "chardata_standin.mat"), ("cache/tightbound", "chardata.mat")):
        (tmp_path / folder / "omniglot").mkdir(parents=True)
        (tmp_path / folder / "omniglot" / name).write_bytes(content)
    assert data.load("omniglot", verify=False).name == "omniglot"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": np.zeros((784, 4))}, "expected the keys data, testdata; testdata is missing"),
        (
            {"data": np.zeros((4, 784)), "testdata": np.zeros((784, 4))},
            r"shape \(784, -1\) under data",
        ),
        ({"data": np.zeros((784, 4)), "testdata": np.full((784, 4), 1.5)}, "row 0, column 0"),
        ({"data": np.zeros((784, 4)), "testdata": np.array([["a"]] * 784)}, "numbers of shape"),
        (
            {
                "data": np.zeros((784, 4)),
                "testdata": np.zeros((784, 4)),
                "targetchar": np.zeros((1, 3)),
                "testtargetchar": np.zeros((1, 4)),
            },
            "expected one label for each image",
        ),
    ],
)
def test_other_contents_are_refused(tmp_path, arrays, message):
    (tmp_path / "chardata.mat").write_bytes(matlab(**arrays))
    with pytest.raises(UsageError, match=message):
        data.load("omniglot", path=tmp_path, verify=False)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_truncated_file_is_refused(tmp_path, content, keep):
    (tmp_path / "chardata.mat").write_bytes(content[:keep])
    with pytest.raises(UsageError, match="expected a MATLAB 5 file|is missing"):
        data.load("omniglot", path=tmp_path, verify=False)


def test_real_standin(real_data):
    real_data("omniglot")
    ds = data.load("omniglot", download=False)
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (23_000, 1_345, 8_070)
    if ds.name == "omniglot (stand-in)":
        everything = np.concatenate([ds.train, ds.validation, ds.test])
        assert round(float(everything.mean(dtype=float)), 4) == 0.0805
    assert ds.checksum != "unverified"
