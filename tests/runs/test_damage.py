"""No command reads a damaged run, and none makes one."""

import dataclasses

import numpy as np
import pytest

from tests.runs.conftest import K
from tightbound import runs
from tightbound.core.digests.record import read_record, write_record
from tightbound.core.errors import UsageError
from tightbound.report import json_records

METRICS, CHECKPOINT = "metrics.jsonl", "checkpoints/last.safetensors"
MODEL, RECORD, CONFIG = "model.safetensors", "run.json", "config.toml"
EVALUATION, UNITS, PICTURES = "evaluations/*.safetensors", "units.json", "pictures.safetensors"


@pytest.fixture
def commands(run, config, one_loop):
    return {
        "evaluate": lambda: runs.evaluate_run(run, k=K),
        "open": lambda: runs.open_run(run),
        "report": lambda: json_records(run),
        "resume": lambda: runs.fit_run(config, run, resume=True),
    }


READ_BY = {
    CONFIG: ("evaluate", "open", "report", "resume"),
    RECORD: ("evaluate", "open", "report"),
    MODEL: ("evaluate", "open", "report"),
    EVALUATION: ("evaluate", "report"),
    METRICS: ("report", "resume"),
    CHECKPOINT: ("resume",),
    UNITS: ("report",),
    PICTURES: ("report",),
}
DAMAGE = {
    "empty": lambda payload: b"",
    "one bit": lambda payload: payload[:300] + bytes([payload[300] ^ 4]) + payload[301:],
    "no UTF-8": lambda payload: b"\xff" + payload[1:],
    "nested": lambda payload: b"[" * 100_000,
    "another's": lambda payload: b"PK\x03\x04\x33\x00" + payload[6:],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", READ_BY)
def test_damage_is_refused_in_one_line_and_nothing_is_written(
    name, damage, run, commands, folder_bytes
):
    (path,) = run.glob(name)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    before = folder_bytes(run)
    for command in READ_BY[name]:
        with pytest.raises(UsageError) as error:
            commands[command]()
        words = "expected 2 records" if (name, damage) == (METRICS, "empty") else path.name
        words = "no finished epoch" if words != path.name and command == "report" else words
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    assert folder_bytes(run) == before


@pytest.mark.parametrize("name", [CONFIG, RECORD, MODEL])
def test_a_run_that_lacks_a_file_is_refused_where_it_is_needed(name, run, commands):
    (run / name).unlink()
    for command in ("evaluate", "open"):
        with pytest.raises(
            UsageError, match="expected a run folder|finish it with `tightbound fit"
        ):
            commands[command]()


@pytest.mark.parametrize(
    "change",
    [
        {"weights": None},
        {"weights": "0" * 64},
        {"data": None},
        {"data": {}},
        {"data": {"digests": 3}},
    ],
)
def test_records_that_say_something_else_than_they_should_are_refused(change, run):
    record = read_record(run / RECORD, "run")
    write_record(run / RECORD, "run", record | change)
    with pytest.raises(UsageError, match=r"run.json is (damaged|about another model)"):
        runs.evaluate_run(run, k=K)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objective": "elbo", "k": None}, "checkpoint of another run: objective"),
        ({"epochs": 1}, "expected epochs >= 2, got 1"),
        ({"hidden": "3"}, "does not fit|another run"),
        ({"batch_size": 5}, "batch_size was 4, is 5"),
        ({"learning_rate": 1.0, "optimizer": "nope"}, "expected optimizer to be one of"),
    ],
)
def test_a_refused_resume_writes_nothing(change, words, run, config, folder_bytes):
    before = folder_bytes(run)
    with pytest.raises(UsageError, match=words):
        runs.fit_run(dataclasses.replace(config, **change), run, resume=True)
    assert folder_bytes(run) == before


def test_a_folder_with_anything_in_it_is_left_alone(run, config, folder_bytes):
    before = folder_bytes(run)
    with pytest.raises(UsageError, match="already exists: pass --resume"):
        runs.fit_run(config, run, resume=False)
    (run.parent / "photos").mkdir()
    (run.parent / "photos" / "one.png").write_bytes(b"png")
    with pytest.raises(UsageError, match="photos already exists"):
        runs.fit_run(config, run.parent / "photos", resume=False)
    with pytest.raises(UsageError, match="photos holds no run to go on with"):
        runs.fit_run(config, run.parent / "photos", resume=True)
    (run.parent / "link").symlink_to("nowhere")
    with pytest.raises(UsageError, match="found a link that leads nowhere"):
        runs.fit_run(config, run.parent / "link", resume=False)
    with pytest.raises(UsageError, match="choose a shorter name"):
        runs.fit_run(config, run.parent / ("n" * 300), resume=False)
    assert folder_bytes(run) == before


def test_a_part_file_that_is_damaged_is_refused(run, monkeypatch):
    """Finished batches of a killed evaluation: damaged ones must not become numbers."""
    monkeypatch.setattr("tightbound.evidence.resume.SECONDS", 0.0)
    monkeypatch.setattr("tightbound.evidence.resume.Finished.remove", lambda self: None)
    runs.evaluate_run(run, k=K, split="train")
    (part,) = (run / "evaluations").glob(".*.npz")
    payload = bytearray(part.read_bytes())
    whole = np.load(part)["0"].tobytes()
    payload[payload.index(whole) + 1] ^= 1
    part.write_bytes(payload)
    with pytest.raises(UsageError, match="train-k10-key0"):
        runs.evaluate_run(run, k=K, split="train", overwrite=True)


def test_records_of_another_run_are_not_shown_as_this_ones(run, config, one_loop):
    """Whole files of the same kind, whose SHA-256 are right."""
    other = run.parent / "other"
    runs.fit_run(dataclasses.replace(config, epochs=1), other, resume=False)
    for name, key in ((RECORD, "run.json"), (METRICS, "evaluations")):
        before = (run / name).read_bytes()
        (run / name).write_bytes((other / name).read_bytes())
        found = json_records(run)
        assert "evaluation" not in found
        assert "another model" in found["absent"][key]
        (run / name).write_bytes(before)
    (run / METRICS).write_bytes((other / METRICS).read_bytes())
    stale = json_records(run)["evaluations"][0]["stale"]
    assert "of epoch 2 of another training than metrics.jsonl tells of" in stale


def test_finished_batches_that_lack_an_array_are_refused(run, monkeypatch):
    monkeypatch.setattr("tightbound.evidence.resume.SECONDS", 0.0)
    monkeypatch.setattr("tightbound.evidence.resume.Finished.remove", lambda self: None)
    runs.evaluate_run(run, k=K, split="train")
    (part,) = (run / "evaluations").glob(".*.npz")
    arrays = dict(np.load(part))
    del arrays["1"]
    np.savez(part, **arrays)
    with pytest.raises(UsageError, match="do not have the SHA-256"):
        runs.evaluate_run(run, k=K, split="train", overwrite=True)
