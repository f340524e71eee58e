"""What the operating system refuses ends in one line, and leaves what was there as it was."""

import errno
import os

import pytest

from tightbound.core.errors import UsageError
from tightbound.core.files import clear_torn, is_file, read_bytes, write_atomic

CALLS = ("open", "write", "fsync", "replace")


def faulty(monkeypatch, name, fault, at=1):
    """Has the n-th call of a function of `os` raise; the folder is not made by a faulty `open`."""
    real, calls = getattr(os, name), [0]

    def call(*arguments, **options):
        calls[0] += 1
        if calls[0] == at:
            raise fault
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


def refused(function, *arguments, words):
    with pytest.raises(UsageError, match=words) as error:
        function(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("before", [b"old", None])
@pytest.mark.parametrize("where", CALLS)
@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "permissions"), (errno.EIO, "the disk")],
)
def test_a_refusal_while_writing_leaves_the_old_file(
    where, code, words, before, tmp_path, monkeypatch
):
    path = tmp_path / "folder" / "file"
    if before is not None:
        write_atomic(path, before)
    faulty(monkeypatch, where, OSError(code, os.strerror(code)))
    refused(write_atomic, path, b"new", words=f"cannot write {path}: .*; .*{words}")
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == ([] if before is None else [path])
    assert before is None or path.read_bytes() == before
    write_atomic(path, "new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("where", CALLS)
def test_an_interrupt_while_writing_stays_one_and_leaves_the_old_file(where, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    faulty(monkeypatch, where, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_bytes_that_are_taken_in_pieces_are_all_written(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    write_atomic(tmp_path / "file", bytes(range(10)))
    assert (tmp_path / "file").read_bytes() == bytes(range(10))


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda *a: calls.append("fsync") or fsync(*a))
    monkeypatch.setattr(os, "replace", lambda *a: calls.append("replace") or replace(*a))
    write_atomic(tmp_path / "file", b"new")
    assert calls == ["fsync", "replace"]


def test_names_that_cannot_be_are_refused_and_the_longest_ones_written(tmp_path):
    write_atomic(tmp_path / ("n" * 255), b"new")
    assert is_file(tmp_path / ("n" * 255))
    long = tmp_path / ("n" * 300)
    refused(write_atomic, long, b"new", words="choose a shorter name")
    refused(write_atomic, long / "file", b"new", words="choose a shorter name")
    refused(read_bytes, long, "a file", words="choose a shorter name")
    refused(is_file, long, words="choose a shorter name")


def test_files_folders_and_links_in_the_way_are_named(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    refused(write_atomic, tmp_path / "file" / "a" / "b", b"", words="a folder where a file stands")
    refused(write_atomic, tmp_path / "link" / "a", b"", words="a dangling link stands")
    refused(write_atomic, tmp_path / "folder", b"", words="a file where a folder stands")
    refused(read_bytes, tmp_path / "folder", "a model", words="expected a model at .* a folder")
    refused(read_bytes, tmp_path / "link", "a model", words="found a dangling link")
    refused(read_bytes, tmp_path / "none", "a model", words="found no file")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_may_not_be_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")

    def refuse(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(type(tmp_path), "read_bytes", refuse)
    refused(read_bytes, tmp_path / "file", "a model", words="cannot read .*: Permission denied")


def test_only_what_writers_left_is_cleared(tmp_path):
    for name in (".file.0a1b.part", "file.part", ".hidden", "file"):
        (tmp_path / name).write_bytes(b"half")
    clear_torn(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"file.part", ".hidden", "file"}
    clear_torn(tmp_path / "none")


def test_what_stands_in_a_files_place_is_not_taken_for_nothing(tmp_path):
    """A run with such a thing for its checkpoint would begin again, and cut its metrics off."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("folder", "a folder"), ("link", "a dangling"), ("pipe", "a pipe or a")):
        refused(is_file, tmp_path / name, words=f"expected a file or nothing at .*, found {words}")
    assert not is_file(tmp_path / "none")


def test_only_one_files_torn_copies_are_cleared_where_it_is_named(tmp_path):
    for name in (".report.html.0a.part", ".metrics.jsonl.0a.part", ".r[1].0a.part"):
        (tmp_path / name).write_bytes(b"half")
    clear_torn(tmp_path, "report.html")
    clear_torn(tmp_path, "r[1]")
    assert [path.name for path in tmp_path.iterdir()] == [".metrics.jsonl.0a.part"]
