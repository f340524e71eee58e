import hashlib

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError


def marked(tiny_mnist, idx, mark):
    """The four files with one test image, all of whose pixels are `mark`."""
    import gzip

    _, _, packed = tiny_mnist
    test = np.full((1, 28, 28), mark)
    return packed | {
        "t10k-images-idx3-ubyte.gz": gzip.compress(idx(test)),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx([mark])),
    }


def test_path_then_variable_then_cache(tmp_path, tiny_mnist, write_all, idx, monkeypatch):
    write_all(tmp_path / "cache" / "tightbound" / "mnist", marked(tiny_mnist, idx, 1))

    def found(**options):
        return int(data.load("mnist", verify=False, **options).labels["test"][0])

    assert found() == 1
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path / "data"))
    assert found() == 1
    write_all(tmp_path / "data" / "mnist", marked(tiny_mnist, idx, 2))
    assert found() == 2
    given = write_all(tmp_path / "given", marked(tiny_mnist, idx, 3))
    assert found(path=given) == 3
    assert found(path=given / "t10k-images-idx3-ubyte.gz") == 3


def test_home_cache_without_xdg(tmp_path, tiny_mnist, write_all, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    write_all(tmp_path / ".cache" / "tightbound" / "mnist", tiny_mnist[2])
    assert len(data.load("mnist", verify=False).test) == 3


def test_missing_file_names_file_folder_and_url(tmp_path, monkeypatch):
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path / "data"))
    with pytest.raises(UsageError) as error:
        data.load("omniglot", download=False)
    message = str(error.value)
    assert "needs the file chardata.mat" in message
    assert str(tmp_path / "data" / "omniglot") in message
    assert str(tmp_path / "cache" / "tightbound" / "omniglot") in message
    assert "https://raw.githubusercontent.com/yburda/iwae/master" in message
    assert "\n" not in message


def test_nothing_else_is_tried_beside_a_path(tmp_path, tiny_mnist, write_all):
    write_all(tmp_path / "cache" / "tightbound" / "mnist", tiny_mnist[2])
    with pytest.raises(UsageError, match=r"train-images-idx3-ubyte.gz, which is not in \S+given;"):
        data.load("mnist", path=tmp_path / "given", verify=False)


def test_unknown_name_names_close_matches_and_all():
    with pytest.raises(UsageError, match="got 'fashion_mnis'; did you mean fashion_mnist") as error:
        data.load("fashion_mnis")
    assert all(entry.name in str(error.value) for entry in data.names())
    with pytest.raises(
        UsageError,
        match="expected the data set to be one of digits, .*, got 'zzz' .there is no",
    ):
        data.load("zzz")


def test_unknown_split_names_those_offered():
    with pytest.raises(UsageError, match="default, iwae, aevb, aevb-1000"):
        data.load("mnist", split="random")
    with pytest.raises(UsageError, match="default, contiguous, random"):
        data.load("frey_faces", split="iwae")


def test_names_says_where(tmp_path, tiny_mnist, write_all, monkeypatch):
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path))
    write_all(tmp_path / "mnist", tiny_mnist[2])
    write_all(tmp_path / "omniglot", {"chardata_standin.mat": b""})
    write_all(tmp_path / "binarized_mnist", {"binarized_mnist_train.amat": b""})
    where = {entry.name: entry.where for entry in data.names()}
    assert where == {
        "digits": "embedded",
        "mnist": str(tmp_path / "mnist"),
        "fashion_mnist": "not on this machine",
        "binarized_mnist": "not on this machine",
        "omniglot": str(tmp_path / "omniglot" / "chardata_standin.mat"),
        "frey_faces": "not on this machine",
        "caltech101_silhouettes": "not on this machine",
        "jsb_chorales": "not on this machine",
    }


def test_every_split_on_the_list_is_known():
    for entry in data.names():
        for split in ("default", *entry.splits):
            with pytest.raises(UsageError) as error:
                data.load(entry.name, split=split, path="nowhere")
            assert "expected split" not in str(error.value)


def test_published_digests_are_whole():
    for source in data._SOURCES.values():
        for file in source.files:
            assert file.url.startswith(("http://", "https://"))
            assert file.url.endswith(f"/{file.name}")
            assert file.digests
            for digest in (*file.digests, *filter(None, [file.plain])):
                assert len(bytes.fromhex(digest)) in (16, hashlib.sha256().digest_size)
