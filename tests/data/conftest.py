"""Data tests see no data of this machine, except those that ask for the real files."""

import dataclasses
import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from tightbound import data

_REAL = os.environ.get("TIGHTBOUND_DATA")


@pytest.fixture(autouse=True)
def _no_machine_data(monkeypatch, tmp_path):
    monkeypatch.delenv("TIGHTBOUND_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def real_data(monkeypatch):
    root = _REAL
    if not root:
        pytest.skip("TIGHTBOUND_DATA is not set: no real files on this machine")
    monkeypatch.setenv("TIGHTBOUND_DATA", root)

    def need(name):
        if not (Path(root) / name).is_dir():
            pytest.skip(f"TIGHTBOUND_DATA has no folder {name}")

    return need


@pytest.fixture
def publish(monkeypatch):
    """Replaces what is published of each file of a named set: its URL, its digests, ..."""

    def replace(name, *changes):
        source = data._SOURCES[name]
        files = [
            dataclasses.replace(file, **change)
            for file, change in zip(source.files, changes, strict=True)
        ]
        changed = dataclasses.replace(source, files=tuple(files))
        monkeypatch.setitem(data._SOURCES, name, changed)
        return changed.files

    return replace


def _idx(array):
    array = np.asarray(array, np.uint8)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.fixture
def idx():
    """Makes the bytes of an IDX file out of an array."""
    return _idx


@pytest.fixture
def tiny_mnist():
    """The four files in the documented format, by name; images known by their first pixels."""
    rng = np.random.RandomState(7)
    train = rng.randint(0, 256, size=(12, 28, 28))
    test = rng.randint(0, 256, size=(3, 28, 28))
    train[:, 0, 0] = np.arange(12)
    contents = {
        "train-images-idx3-ubyte": _idx(train),
        "train-labels-idx1-ubyte": _idx(np.arange(12) % 10),
        "t10k-images-idx3-ubyte": _idx(test),
        "t10k-labels-idx1-ubyte": _idx([7, 2, 1]),
    }
    packed = {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}
    return train, test, packed


@pytest.fixture
def write_all():
    def write(folder, contents):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return folder

    return write
