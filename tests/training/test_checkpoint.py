import json
import os

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save

import tightbound as tb
from tightbound.files import write_atomic
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


def with_header(path, changes):
    """Replaces entries of our own metadata in a file."""
    payload = path.read_bytes()
    size = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + size])
    ours = {**json.loads(header["__metadata__"]["tightbound"]), **changes}
    header["__metadata__"]["tightbound"] = json.dumps(ours)
    packed = json.dumps(header).encode()
    path.write_bytes(len(packed).to_bytes(8, "little") + packed + payload[8 + size :])


@pytest.mark.parametrize("fault", [OSError("no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("before", [b"old", None])
def test_a_crash_while_writing_leaves_the_old_file(where, fault, before, tmp_path, monkeypatch):
    path = tmp_path / "folder" / "file"
    if before is not None:
        write_atomic(path, before)

    def crash(*_):
        raise fault

    monkeypatch.setattr(os, where, crash)
    with pytest.raises(type(fault)):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == ([] if before is None else [path])
    assert before is None or path.read_bytes() == before
    write_atomic(path, "new")
    assert path.read_bytes() == b"new"


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda *a: calls.append("fsync") or fsync(*a))
    monkeypatch.setattr(os, "replace", lambda *a: calls.append("replace") or replace(*a))
    write_atomic(tmp_path / "file", b"new")
    assert calls == ["fsync", "replace"]


def test_arrays_and_metadata_come_back_to_the_last_bit(written, same_bits):
    arrays, metadata = checkpoint.read(written, "checkpoint")
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
            checkpoint.read(written, "checkpoint")
        assert str(error.value).startswith(f"{written} is not a whole tightbound file: ")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (save(TREE | {"nested": np.zeros(1)}), "was not written by tightbound: .* is missing"),
        (save({"a": np.zeros(1)}, {"format": "pt"}), "was not written by tightbound"),
        (save({"a": np.zeros(1)}, {"tightbound": "{}"}), "was not written by tightbound"),
        (save({"a": np.zeros(1)}, {"tightbound": "[1]"}), "is not a whole tightbound file"),
        (save({"a": np.zeros(1)}, {"tightbound": "hello"}), "is not a whole tightbound file"),
        (b"\x80\x04\x95 pickle", "is not a whole tightbound file"),
        (b"", "is not a whole tightbound file"),
    ],
)
def test_foreign_files_are_refused(payload, words, tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(payload)
    with pytest.raises(tb.UsageError, match=words):
        checkpoint.read(path, "checkpoint")


def test_other_schemas_kinds_and_missing_files_are_refused(written, tmp_path):
    with pytest.raises(tb.UsageError, match="expected a saved run at .*, found a checkpoint"):
        checkpoint.read(written, "saved run")
    with pytest.raises(tb.UsageError, match="expected a checkpoint at .*, found no file"):
        checkpoint.read(tmp_path, "checkpoint")
    with_header(written, {"schema": 99})
    with pytest.raises(tb.UsageError, match="has schema 99, expected 1"):
        checkpoint.read(written, "checkpoint")


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
