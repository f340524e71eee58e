import json
import shutil
from types import SimpleNamespace

import equinox as eqx
import numpy as np
import optax
import pytest
from safetensors.numpy import save

import tightbound as tb
from tightbound.core.digests.arrays import read_arrays
from tightbound.core.locks import Folder
from tightbound.objectives import Params
from tightbound.training import store
from tightbound.training.history import EpochRecord, History, MetricsFile
from tightbound.training.state import start

DATA = np.random.default_rng(0).random(size=(7, 3)).astype(np.float32)
EPOCHS = 3


@pytest.fixture(scope="module")
def options(pull):
    return {"objective": pull(noisy=True), "optimizer": optax.adam(0.1), "batch_size": 2}


@pytest.fixture(scope="module")
def template(tmp_path_factory, toy, options):
    """A finished run with its checkpoint, and what it returned."""
    folder = tmp_path_factory.mktemp("template")
    run = tb.fit(
        toy.model,
        toy.posterior,
        DATA,
        validation=DATA[:2],
        epochs=EPOCHS,
        directory=folder,
        **options,
    )
    return folder, run


@pytest.fixture
def folder(template, tmp_path):
    shutil.copytree(template[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def refused(folder, toy, options, folder_bytes):
    """Asserts that a call of `fit` is refused in one line and changes no file."""

    def check(words, *, parts=toy, train=DATA, **changes):
        call = {"validation": DATA[:2], "epochs": EPOCHS, "resume": True, **options, **changes}
        before = folder_bytes(folder)
        with pytest.raises(tb.UsageError, match=words) as error:
            tb.fit(parts.model, parts.posterior, train, directory=folder, **call)
        assert "\n" not in str(error.value)
        assert folder_bytes(folder) == before

    return check


def checkpoint_of(folder):
    return folder / "checkpoints" / "last.safetensors"


def resume(folder, toy, options, **changes):
    call = {"validation": DATA[:2], "epochs": EPOCHS, "resume": True, **options, **changes}
    return tb.fit(toy.model, toy.posterior, DATA, directory=folder, **call)


def test_a_folder_in_use_is_refused(folder, refused):
    refused("already holds a run: pass resume=True", resume=False)
    checkpoint_of(folder).unlink()
    refused("already holds a run: pass resume=True", resume=False)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("objective was pull\\(\\), is elbo\\(", {"objective": tb.objectives.elbo()}),
        ("batch_size was 2, is 3", {"batch_size": 3}),
        ("key was \\[0, 0\\], is \\[0, 1\\]", {"key": 1}),
        ("seeds was 1, is 2", {"seeds": 2}),
        ("average was None, is 0.5", {"average": 0.5}),
        ("early_stopping was None, is 4", {"early_stopping": 4}),
        ("binarisation was none .*, is fixed .* seed 3", {"binarize": "fixed:3"}),
        ("training data was 7 items with SHA-256 .*, is 6 items", {"train": DATA[:6]}),
        ("training data was 7 items with .*, is 7 items with", {"train": DATA[::-1].copy()}),
        ("validation data was 2 items with .*, is 2 items with", {"validation": DATA[1:3]}),
        ("validation data was 2 items with .*, is None", {"validation": None}),
        ("batch_size was 2, is 3; key was .*; seeds was", {"batch_size": 3, "key": 1, "seeds": 2}),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(words, changes, refused):
    refused(f"is a checkpoint of another run: {words}", **changes)


def test_a_checkpoint_of_another_model_is_refused(refused):
    def parts(**changes):
        sizes = {"latent": 1, "hidden": (), "likelihood": "gaussian", **changes}
        return Params(*tb.autoencoder(np.zeros_like(DATA), **sizes))

    refused("posterior.trunk.activation was tanh, is relu", parts=parts(activation="relu"))
    refused("likelihood.unit_mean was False, is True", parts=parts(likelihood="gaussian_unit_mean"))
    refused("model.prior.dim was 1, is 2", parts=parts(latent=2))
    refused("posterior.trunk.layers\\[0\\] was absent, is Dense", parts=parts(hidden=(2,)))


def test_a_checkpoint_of_another_optimizer_is_refused(refused):
    refused("does not fit: .*optimizer.* is unknown", optimizer=optax.sgd(0.1))
    refused("does not fit: .*optimizer.* is missing", optimizer=optax.amsgrad(0.1))


def test_fewer_epochs_than_are_done_are_refused(refused):
    refused("has 3 epochs behind it: expected epochs >= 3, got 2", epochs=2)


def test_damaged_and_foreign_checkpoints_are_refused(folder, refused, tmp_path, template):
    path = checkpoint_of(folder)
    payload = path.read_bytes()
    for size in (0, 7, 100, len(payload) // 2, len(payload) - 1):
        path.write_bytes(payload[:size])
        refused("last.safetensors is not a whole tightbound file")
    path.write_bytes(save({"a": np.zeros(3, np.float32)}))
    refused("last.safetensors was not written by tightbound")
    tb.save(path, template[1])
    refused("expected a checkpoint at .*, found a saved run")


def test_metrics_behind_their_checkpoint_are_refused(folder, refused):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    refused("expected 3 records in .*metrics.jsonl, found 2")
    for second in ("{}\n", "", lines[0], lines[1].replace("1", "2", 1)):
        path.write_text(lines[0] + second + lines[2])
        refused("metrics.jsonl line 2 is damaged")
    path.write_text(lines[1] + lines[0] + lines[2])
    refused("metrics.jsonl line 1 is damaged")
    path.unlink()
    refused("expected 3 records in .*metrics.jsonl, found 0")


def test_records_ahead_of_the_checkpoint_and_torn_lines_are_cut_off(folder, toy, options, template):
    path = folder / "metrics.jsonl"
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    path.write_bytes(good + lines[0] + lines[1][:17])
    run = resume(folder, toy, options)
    assert path.read_bytes() == good
    assert run.history == template[1].history
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_what_a_killed_writer_left_is_removed(folder, toy, options):
    torn = checkpoint_of(folder).with_name(".last.safetensors.12345.part")
    other = folder / ".metrics.jsonl.0a1b.part"
    for path in (torn, other):
        path.write_bytes(b"half")
    resume(folder, toy, options)
    assert not torn.exists()
    assert not other.exists()
    assert checkpoint_of(folder).exists()


def test_a_finished_run_comes_back_and_a_longer_one_goes_on(
    folder, toy, options, template, same_bits, tmp_path
):
    same_bits(resume(folder, toy, options).replicas, template[1].replicas)
    longer = resume(folder, toy, options, epochs=6)
    whole = tb.fit(
        toy.model,
        toy.posterior,
        DATA,
        validation=DATA[:2],
        epochs=6,
        directory=tmp_path / "whole",
        **options,
    )
    same_bits(longer.replicas, whole.replicas)
    assert longer.history.train_bound == whole.history.train_bound
    assert longer.history.validation_bound == whole.history.validation_bound
    assert [record.epoch for record in longer.history] == [1, 2, 3, 4, 5, 6]
    states = [read_arrays(checkpoint_of(f), "checkpoint")[0] for f in (folder, tmp_path / "whole")]
    same_bits(*states)


def test_the_metrics_file_holds_the_history(template):
    folder, run = template
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(len(line.pop("sha256")) == 64 for line in lines)
    assert History(EpochRecord(**line) for line in lines) == run.history
    assert [line["step"] for line in lines] == [3, 6, 9]


@pytest.fixture(scope="module")
def state(toy):
    params = eqx.filter(toy, eqx.is_inexact_array)
    return start(params, optax.sgd(0.1), None, batch_size=2, averaged=False, keep_best=False)


@pytest.mark.parametrize("cost", [0.001, 0.1, 3.0, 500.0])
def test_checkpoints_take_their_share_of_the_time_and_no_more(cost, state, tmp_path, monkeypatch):
    """A made-up clock: an epoch takes a second, a checkpoint takes `cost` seconds."""
    now, written = [100.0], []

    def write(path, kind, state, metadata):
        del path, kind, state
        now[0] += cost
        written.append(metadata["epoch"])

    monkeypatch.setattr(store, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(store.checkpoint, "write", write)
    kept = store.Store(Folder(tmp_path), {})
    kept.claim(state)
    epochs, share = 2000, store.CHECKPOINT_SHARE
    for epoch in range(1, epochs + 1):
        now[0] += 1.0
        before, elapsed = kept.seconds, now[0] - 100.0
        kept.save(state, epoch, last=epoch == epochs)
        assert kept.seconds == pytest.approx(cost * len(written))
        if epoch < epochs:  # written if and only if the share so far allows it
            assert (kept.seconds > before) == (before <= share * elapsed)
    kept.metrics.close()
    assert written[0] == 1
    assert written[-1] == epochs
    most = share * (now[0] - 100.0) / cost
    assert min(epochs, most) - 2 <= len(written) <= most + 2


def test_a_checkpoint_is_never_ahead_of_the_metrics(state, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(MetricsFile, "sync", lambda self: calls.append("metrics"))
    monkeypatch.setattr(store.checkpoint, "write", lambda *_: calls.append("checkpoint"))
    kept = store.Store(Folder(tmp_path), {})
    kept.claim(state)
    kept.save(state, 1, last=True)
    kept.metrics.close()
    assert calls == ["metrics", "checkpoint"]
