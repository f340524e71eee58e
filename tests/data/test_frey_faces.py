import hashlib
import io

import numpy as np
import pytest
import scipy.io

from tightbound import data
from tightbound.core.errors import UsageError


@pytest.fixture
def faces():
    faces = np.random.RandomState(2).randint(8, 239, size=(25, 28, 20)).astype(np.uint8)
    faces[:, 1, :] = 255  # a horizontal bar: a transposed face would show a vertical one
    return faces


def matlab(faces, *, compressed=False):
    buffer = io.BytesIO()
    columns = faces.reshape(len(faces), -1).T
    scipy.io.savemat(buffer, {"ff": columns}, do_compression=compressed)
    return buffer.getvalue()


def values_digest(faces):
    return hashlib.sha256(faces.tobytes()).hexdigest()


@pytest.mark.parametrize("split", ["default", "contiguous"])
def test_default_is_in_time(tmp_path, faces, split):
    (tmp_path / "frey_rawface.mat").write_bytes(matlab(faces))
    ds = data.load("frey_faces", path=tmp_path, split=split, verify=False)
    rows = (faces.reshape(25, 560) / 255).astype(np.float32)
    np.testing.assert_array_equal(ds.train, rows[:21])
    np.testing.assert_array_equal(ds.validation, rows[21:23])
    np.testing.assert_array_equal(ds.test, rows[23:])
    assert (ds.shape, ds.units, ds.labels) == ((28, 20), "grey", {})
    assert ds.split == "contiguous: in time, 21 train, 2 validation, 2 test"
    assert "correlated in time" in ds.notes[0]
    assert "bytes / 255" in ds.notes[1]


def test_random_split_is_fixed_and_says_that_it_leaks(tmp_path, faces):
    (tmp_path / "frey_rawface.mat").write_bytes(matlab(faces))
    ds = data.load("frey_faces", path=tmp_path, split="random", verify=False)
    order = np.random.RandomState(0).permutation(25)
    rows = (faces.reshape(25, 560) / 255).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([ds.train, ds.validation, ds.test]), rows[order])
    assert "leaks" in ds.split


def test_checked_by_value_whatever_the_bytes(tmp_path, faces, publish):
    publish("frey_faces", {"digests": (values_digest(faces),)})
    file = tmp_path / "frey_rawface.mat"
    for compressed in (False, True):
        file.write_bytes(matlab(faces, compressed=compressed))
        assert data.load("frey_faces", path=file).checksum == values_digest(faces)
    other = faces.copy()
    other[3, 4, 5] += 1
    file.write_bytes(matlab(other))
    expected = f"expected sha256 {values_digest(faces)}, got sha256 {values_digest(other)}"
    with pytest.raises(UsageError, match=expected):
        data.load("frey_faces", path=file)


@pytest.mark.parametrize("verify", [True, False])
def test_other_contents_are_refused(tmp_path, faces, verify):
    file = tmp_path / "frey_rawface.mat"
    file.write_bytes(matlab(faces.astype(float)))
    with pytest.raises(UsageError, match="expected unsigned bytes under ff, got float64"):
        data.load("frey_faces", path=file, verify=verify)
    file.write_bytes(matlab(faces[:, :14]))
    with pytest.raises(UsageError, match=r"shape \(560, -1\) under ff"):
        data.load("frey_faces", path=file, verify=verify)
    file.write_bytes(b"no MATLAB file")
    with pytest.raises(UsageError, match="expected a MATLAB 5 file"):
        data.load("frey_faces", path=file, verify=verify)


def test_real_faces(real_data):
    real_data("frey_faces")
    ds = data.load("frey_faces", download=False)
    frames = np.rint(np.concatenate([ds.train, ds.validation, ds.test]) * 255)
    assert frames.shape == (1_965, 560)
    assert (frames.min(), frames.max()) == (8, 238)
    assert ds.checksum == hashlib.sha256(frames.astype(np.uint8).tobytes()).hexdigest()
    # faces are about symmetric about the vertical axis when upright, and not when on their side
    mean = ds.train.mean(axis=0).reshape(28, 20)
    centred = mean - mean.mean()
    across = (centred * centred[:, ::-1]).mean()
    along = (centred * centred[::-1]).mean()
    assert across > 2 * abs(along)
