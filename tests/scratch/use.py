"""What a user does with parts of one's own, run in the copy that holds them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tightbound.networks.upsampling import Upsampling

import tightbound as tb
from tightbound.bounds import Halfway
from tightbound.cli import run
from tightbound.cli.compilation import SWITCH
from tightbound.gradients import by_name
from tightbound.networks import Whole
from tightbound.objectives.multisample.multisample import Multisample

COUNTS = tb.data.load("counted", split="halves")


def build(key):
    decoder = Whole(Upsampling.of(2, key=key))
    options = {"latent": 2, "hidden": (3,), "likelihood": "geometric"}
    return tb.autoencoder(COUNTS, decoder=decoder, key=key, **options)


def fitted(objective, **options):
    model, posterior = build(jax.random.key(0))
    sizes = {"batch_size": 15, "epochs": 1, **options}
    return tb.fit(model, posterior, COUNTS.train, objective=objective, **sizes)


def test_own_replicas_are_different_and_come_back_without_like(tmp_path):
    run = fitted("twice(k=2)", seeds=3, build=build, directory=tmp_path / "kept")
    tb.save(tmp_path / "kept" / "model.safetensors", run)
    loaded = tb.load(tmp_path / "kept" / "model.safetensors")
    assert jax.tree.structure(loaded.replicas) == jax.tree.structure(run.replicas)
    for a, b in zip(jax.tree.leaves(loaded.replicas), jax.tree.leaves(run.replicas), strict=True):
        np.testing.assert_array_equal(a, b)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        one, two = (loaded.replicas[r].model.likelihood.trunk.network for r in (i, j))
        assert float(jnp.abs(one.spread.weight - two.spread.weight).min()) > 0
        assert float(jnp.abs(one.last.weight - two.last.weight).min()) > 0
    sizes = {"k": 4, "key": 1}
    before = tb.evaluate(run.model, run.posterior, COUNTS.test, **sizes)
    after = tb.evaluate(loaded.model, loaded.posterior, COUNTS.test, **sizes)
    assert np.isfinite(after.mean)
    assert after.mean == before.mean


def test_a_bound_of_ones_own_is_followed():
    run = fitted(Multisample("halfway", Halfway(), by_name("dreg"), 3))
    assert run.objective == "halfway"
    assert np.isfinite(run.history[0].train_bound).all()


def test_values_outside_ones_own_support_are_named():
    wrong = np.array(COUNTS.train)
    wrong[3, 2] = 0.5
    model, posterior = build(jax.random.key(0))
    words = r"row 3, column 2 .* is 0.5, expected a whole number >= 0"
    with pytest.raises(tb.UsageError, match=words):
        tb.fit(model, posterior, wrong, objective="twice(k=2)", batch_size=15, epochs=1)


def test_the_command_line_knows_ones_own_names(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SWITCH, "off")
    sizes = ["--hidden", "3", "--latent", "2", "--epochs", "1", "--batch-size", "15"]
    options = ["--likelihood", "geometric", "--objective", "twice(k=2)", "--evaluate-k", "4"]
    assert run(["fit", "counted", "--split", "halves", *sizes, *options, "--name", "own"]) == 0
    assert (tmp_path / "runs" / "own" / "model.safetensors").is_file()
    assert run(["objectives"]) == 0
    assert "twice" in capsys.readouterr().out
