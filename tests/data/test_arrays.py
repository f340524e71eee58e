"""Named arrays from files: what is read, bit for bit, and what is refused."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from tightbound.core.errors import UsageError
from tightbound.data import load_arrays

ARRAYS = {
    "decoder.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([0.1, -65504.0], np.float16),
    "double": np.array(np.pi),
    "steps": np.array([3, -1], np.int64),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 2), np.float32),
}


def written(path, arrays=ARRAYS):
    save_file(arrays, path) if path.suffix == ".safetensors" else np.savez(path, **arrays)
    return path


def by_hand(path, kind, shape, payload):
    """A safetensors file of one array, of a type that NumPy may not know."""
    entry = {"dtype": kind, "shape": shape, "data_offsets": [0, len(payload)]}
    header = json.dumps({"w": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + payload)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "A.NPZ"])
def test_arrays_come_back_by_name(tmp_path, name):
    if name == "A.NPZ":
        written(tmp_path / "a.npz").rename(tmp_path / name)
    else:
        written(tmp_path / name)
    found = load_arrays(str(tmp_path / name))
    assert set(found) == set(ARRAYS)
    for key, array in ARRAYS.items():
        expected = array.astype(np.float32) if key == "half" else array
        assert (found[key].dtype, found[key].shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found[key], expected)
    found["steps"][0] = 7  # nothing read-only


def test_bfloat16_becomes_float32_exactly(tmp_path):
    values = np.array([[1.0, -2.5, 3.140625], [0.0, np.inf, 2.0**-126]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    found = load_arrays(by_hand(tmp_path / "a.safetensors", "BF16", [2, 3], upper.tobytes()))["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)


def test_types_without_numbers_of_their_own_are_refused_by_name(tmp_path):
    path = by_hand(tmp_path / "a.safetensors", "F8_E4M3", [2], b"ab")
    with pytest.raises(UsageError, match=r"'w' is of type F8_E4M3, expected one of F64, F32"):
        load_arrays(path)
    for array in (np.array(["a"]), np.array([1j]), np.zeros(2, "V2")):
        np.savez(tmp_path / "b.npz", good=np.ones(2), bad=array)
        with pytest.raises(UsageError, match="expected arrays of real numbers, got 'bad' of type"):
            load_arrays(tmp_path / "b.npz")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    with pytest.raises(UsageError, match=r"got data that are of objects"):
        load_arrays(tmp_path / "a.npz")
    for name in ("model.pt", "model.pth", "model"):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(UsageError, match=r"\(.pt, .pth\) are read by tb.data.load_torch"):
            load_arrays(tmp_path / name)


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz"])
def test_truncated_and_foreign_files_are_refused_in_one_line(tmp_path, name):
    path = written(tmp_path / name)
    payload = path.read_bytes()
    wrong = [payload[:size] for size in range(0, len(payload), 7)]
    wrong += [payload[:-1], payload[::-1], b"\x80\x04N.", b"x" * 100]
    if name == "a.npz":  # entries that call themselves encrypted, and of an unknown version
        entry = payload.index(b"PK\x01\x02")
        for byte, value in ((8, 1), (6, 255)):
            at = entry + byte
            wrong.append(payload[:at] + bytes([value]) + payload[at + 1 :])
    for contents in wrong:
        path.write_bytes(contents)
        with pytest.raises(
            UsageError, match="is not a whole safetensors file|are damaged|got an empty file"
        ) as error:
            load_arrays(path)
        assert "\n" not in str(error.value)
        assert name in str(error.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        load_arrays(tmp_path / "a.npz")
    (tmp_path / "b.npz").mkdir()
    with pytest.raises(UsageError, match="expected a file .safetensors or .npz"):
        load_arrays(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz")
    save_file({}, tmp_path / "c.safetensors")
    for name in ("c.npz", "c.safetensors"):
        with pytest.raises(UsageError, match="expected named arrays, got a file without any"):
            load_arrays(tmp_path / name)
    np.save(tmp_path / "d.npy", np.ones(2))
    (tmp_path / "d.npy").rename(tmp_path / "d.npz")
    with pytest.raises(UsageError, match="expected an archive of named arrays, got one array"):
        load_arrays(tmp_path / "d.npz")
