import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save

import tightbound as tb
from tightbound.core.digests import arrays as arrays_of_files
from tightbound.core.digests.arrays import read_arrays
from tightbound.training import checkpoint

TREE = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not contiguous
    "nested": (np.array([True, False]), {"count": np.array(-3, np.int32)}),
    "odd": np.array([-0.0, np.nan, np.inf, 1e-45], np.float32),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "state.safetensors"
    checkpoint.write(path, "checkpoint", TREE, {"epoch": 7, "bound": 0.1 + 0.2})
    return path


def test_arrays_and_metadata_come_back_to_the_last_bit(written, same_bits):
    arrays, metadata = read_arrays(written, "checkpoint")
    assert metadata["epoch"] == 7
    assert metadata["bound"] == 0.1 + 0.2
    assert set(arrays) == {
        "['matrix']",
        "['nested'][0]",
        "['nested'][1]['count']",
        "['odd']",
        "['empty']",
    }
    same_bits(checkpoint.fill(TREE, arrays, "it"), TREE)


def test_every_truncation_is_refused_in_one_line(written):
    payload = written.read_bytes()
    for size in [*range(0, len(payload), 37), len(payload) - 1]:
        written.write_bytes(payload[:size])
        with pytest.raises(tb.UsageError) as error:
            read_arrays(written, "checkpoint")
        assert str(error.value).startswith(f"{written} is not a whole tightbound file: ")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (save(TREE | {"nested": np.zeros(1)}), "was not written by tightbound, .* no SHA-256"),
        (save({"a": np.zeros(1)}, {"format": "pt"}), "was not written by tightbound"),
        (save({"a": np.zeros(1)}, {"tightbound": "{}"}), "was not written by tightbound"),
        (b"\x80\x04\x95 pickle", "is not a whole tightbound file"),
        (b"", "is not a whole tightbound file"),
    ],
)
def test_foreign_files_are_refused(payload, words, tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(payload)
    with pytest.raises(tb.UsageError, match=words):
        read_arrays(path, "checkpoint")


def test_other_schemas_kinds_and_missing_files_are_refused(written, tmp_path, monkeypatch):
    with pytest.raises(tb.UsageError, match="expected a saved run at .*, found a checkpoint"):
        read_arrays(written, "saved run")
    with pytest.raises(tb.UsageError, match="expected a checkpoint at .*, found a folder"):
        read_arrays(tmp_path, "checkpoint")
    with pytest.raises(tb.UsageError, match="expected a checkpoint at .*, found no file"):
        read_arrays(tmp_path / "none", "checkpoint")
    monkeypatch.setattr(arrays_of_files, "SCHEMA", 99)
    checkpoint.write(written, "checkpoint", TREE, {})
    monkeypatch.undo()
    with pytest.raises(tb.UsageError, match="has schema 99, expected 2"):
        read_arrays(written, "checkpoint")


def test_leaves_are_matched_by_name_and_all_differences_are_listed():
    arrays = checkpoint.named_leaves(
        {"a": np.zeros(2), "b": np.ones((2, 1), np.float32), "d": np.ones(3, np.float32)}
    )
    tree = {"b": jnp.ones((1, 2)), "c": jnp.ones(3), "d": jnp.ones(3, jnp.int32)}
    with pytest.raises(tb.UsageError) as error:
        checkpoint.fill(tree, arrays, "it")
    assert str(error.value) == (
        "it does not fit: ['c'] is missing; ['a'] is unknown; "
        "['b'] is float32[2, 1], expected float32[1, 2]; "
        "['d'] is float32[3], expected int32[3]"
    )
