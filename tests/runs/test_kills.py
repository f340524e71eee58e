"""A process that ends at any moment leaves a folder that `fit` or `--resume` takes."""

import errno
import os
import shutil
from importlib import import_module

import pytest

from tests.runs.conftest import RUN, K
from tightbound import runs
from tightbound.core.errors import Interrupted, UsageError
from tightbound.core.locks import Folder
from tightbound.report import json_records, write_report

RENAMINGS = 8
"""Settings, metrics, a checkpoint for each of two epochs, model, units, pictures, record."""
OF_THE_FIT = ("model.safetensors", "units.json", "run.json", "pictures.safetensors")


def weights(directory):
    return json_records(directory)["run"]["weights"]


def files(directory):
    return {path.relative_to(directory) for path in directory.rglob("*") if path.is_file()}


def take(config, directory):
    """Goes on where there are settings, else begins."""
    return runs.fit_run(config, directory, resume=(directory / "config.toml").exists())


@pytest.mark.parametrize("number", range(RENAMINGS))
def test_a_kill_before_a_renaming_is_taken_up(number, template, run, config, one_loop):
    meant, expected = weights(run), files(run)
    killed = template / "kills" / f"{number:02d}" / "r"
    assert list(killed.rglob(".*.part")), "the file that was not renamed yet"
    shutil.rmtree(run)
    shutil.copytree(killed, run)
    take(config, run)
    assert weights(run) == meant
    kept = {path for path in expected if path.parts[0] != "evaluations"}
    assert files(run) == kept


def test_there_are_no_other_renamings(template):
    assert len(list((template / "kills").iterdir())) == RENAMINGS


@pytest.mark.parametrize("number", [0, 1])
def test_fit_takes_a_folder_without_an_epoch(number, template, run, config, one_loop):
    meant = weights(run)
    shutil.rmtree(run)
    shutil.copytree(template / "kills" / f"{number:02d}" / "r", run)
    runs.fit_run(config, run, resume=False)
    assert weights(run) == meant


def refuse_call(monkeypatch, name, at, fault):
    real, calls = getattr(os, name), [0]

    def call(*arguments, **options):
        calls[0] += 1
        if calls[0] == at:
            raise fault
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


def count_calls(monkeypatch, name, act):
    real, calls = getattr(os, name), [0]

    def call(*arguments, **options):
        calls[0] += 1
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, call)
        act()
    return calls[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_a_full_disk_at_any_call_of_a_fit_is_refused_and_gone_on_from(
    name, run, config, one_loop, monkeypatch
):
    meant = weights(run)
    total = count_calls(
        monkeypatch, name, lambda: runs.fit_run(config, RUN.parent / "counted", resume=False)
    )
    assert total >= RENAMINGS
    for at in range(1, total + 1):
        directory = RUN.parent / f"{name}{at}"
        fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with monkeypatch.context() as patch:
            refuse_call(patch, name, at, fault)
            with pytest.raises(UsageError, match="No space left on device; free some space"):
                runs.fit_run(config, directory, resume=False)
        assert not list(directory.rglob(".*.part"))
        take(config, directory)
        assert weights(directory) == meant


@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_a_full_disk_while_evaluating_and_reporting_harms_nothing(
    name, run, folder_bytes, monkeypatch
):
    before = folder_bytes(run)
    with monkeypatch.context() as patch:
        refuse_call(patch, name, 1, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        with pytest.raises(UsageError, match="No space left"):
            runs.evaluate_run(run, k=K, overwrite=True)
    assert folder_bytes(run) == before
    monkeypatch.setattr("tightbound.report.write.exhibits", lambda records: [])
    with monkeypatch.context() as patch:
        refuse_call(patch, name, 1, OSError(errno.EROFS, os.strerror(errno.EROFS)))
        with pytest.raises(UsageError, match="choose a place that can be written"):
            write_report(run)
    report_lock = run / ".report.lock"
    report_lock.unlink()
    assert folder_bytes(run) == before


def test_a_folder_in_use_is_refused_by_all_that_write_and_stays_whole(run, config, folder_bytes):
    before = folder_bytes(run)
    with Folder(run) as folder:
        folder.hold()
        for act in (
            lambda: runs.evaluate_run(run, k=K),
            lambda: runs.fit_run(config, run, resume=True),
        ):
            with pytest.raises(UsageError, match="runs/r is in use by another process"):
                act()
        json_records(run)
    assert folder_bytes(run) == before
    with Folder(run.parent / "new") as folder:  # another process has begun there
        folder.hold()
        with pytest.raises(UsageError, match="runs/new is in use by another process"):
            runs.fit_run(config, run.parent / "new", resume=False)
        assert files(run.parent / "new") == {(run / ".lock").relative_to(run)}


def test_an_interrupt_says_what_is_kept(run, config, one_loop, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(import_module("tightbound.training.fit"), "_run_epochs", interrupt)
        with pytest.raises(Interrupted, match="fit --resume --name other` goes on"):
            runs.fit_run(config, run.parent / "other", resume=False)
        patch.setattr("tightbound.runs.evaluation.evaluate", interrupt)
        with pytest.raises(Interrupted, match="the same command goes on"):
            runs.evaluate_run(run, k=K, key=3)
    meant = weights(run)
    take(config, run.parent / "other")
    assert weights(run.parent / "other") == meant
