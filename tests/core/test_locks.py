"""One process at a time changes a folder, and a lock dies with its process."""

import subprocess
import sys
import threading

import pytest

from tightbound.core.errors import UsageError
from tightbound.core.locks import Folder

HOLD = """
import sys
from tightbound.core.locks import Folder
folder = Folder(sys.argv[1])
folder.hold()
print("held", flush=True)
sys.stdin.read()
"""


def refused(path, words="is in use by another process of tightbound", **options):
    with pytest.raises(UsageError, match=words) as error:
        Folder(path, **options).hold()
    assert "\n" not in str(error.value)


def test_a_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "runs" / "r"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        refused(path)
        process.kill()
    assert process.returncode < 0
    with Folder(path) as folder:
        folder.hold()


def test_one_of_many_threads_holds_a_folder(tmp_path):
    barrier, results, over = threading.Barrier(8), [], threading.Barrier(8)

    def try_it():
        barrier.wait()
        with Folder(tmp_path / "r") as folder:
            try:
                folder.hold()
                results.append(True)
            except UsageError:
                results.append(False)
            over.wait()

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]


def test_holding_twice_is_holding_once_and_other_locks_do_not_meet(tmp_path):
    with Folder(tmp_path) as folder:
        folder.hold()
        folder.hold()
        refused(tmp_path)
        with Folder(tmp_path, lock=".report.lock") as other:
            other.hold()
    with Folder(tmp_path) as folder:
        folder.hold()


def test_settings_are_written_when_the_run_is_accepted(tmp_path):
    with Folder(tmp_path, settings="k = 1\n") as folder:
        folder.hold()
        assert not (tmp_path / "config.toml").exists()
        folder.accept()
    assert (tmp_path / "config.toml").read_text() == "k = 1\n"


def test_places_that_cannot_be_folders_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    refused(tmp_path / "file", "cannot use the folder .* where a file")
    refused(tmp_path / "file" / "r", "cannot use the folder .* where a file")
    refused(tmp_path / "link", "dangling link")
    refused(tmp_path / ("n" * 300), "choose a shorter name")


@pytest.mark.parametrize("name", ["checkpoints", "evaluations", "figures", ".lock"])
def test_a_part_of_a_run_that_is_a_link_is_refused_and_not_followed(name, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"of the user")
    place = "elsewhere/file" if name == ".lock" else "elsewhere"
    (tmp_path / "r" / name).symlink_to(tmp_path / place)
    refused(tmp_path / "r", f"{name} is a link: what a run writes stays in its own folder")
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"of the user"
