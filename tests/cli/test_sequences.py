"""Sequences on the command line, and what records say per step."""

import json

import numpy as np
import pytest

import tightbound as tb
from tightbound import runs
from tightbound.core.errors import UsageError
from tightbound.data import load_arrays
from tightbound.recipes.settings import Config

SMALL = ("--latent", "2", "--hidden", "4", "--k", "2", "--epochs", "1", "--evaluate-k", "20")


@pytest.mark.slow
@pytest.mark.parametrize("network", ["deep_markov", "vrnn"])
def test_a_run_of_sequences_is_fitted_judged_and_sampled(network, tightbound, tmp_path):
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 5, size=20)
    sequences = [(rng.random((n, 3)) < 0.4).astype(int).tolist() for n in lengths]
    (tmp_path / "x.json").write_text(json.dumps(sequences))
    status, out, _ = tightbound("fit", "x.json", "--network", network, *SMALL, "--name", "a")
    assert status == 0
    opened = runs.open_run(tmp_path / "runs" / "a")
    ds = tb.data.load(tmp_path / "x.json")
    (record,) = (judged.record for judged in opened.evaluations.values())
    total = ds.lengths("test").sum()
    assert record["steps"] == total
    assert record["per_step"] == pytest.approx(record["mean"] * len(ds.test) / total)
    assert f"{total} steps in {len(ds.test)} sequences" in out
    assert "bits per dimension" not in out
    status, _, _ = tightbound("sample", "a", "--n", "3", "--out", "s.npy")
    assert status == 0
    assert np.load(tmp_path / "s.npy").size == 3 * 4 * 3
    status, _, _ = tightbound("reconstruct", "a", "x.json", "--out", "r.npy")
    assert status == 0
    means = np.load(tmp_path / "r.npy").reshape(20, 4, 3)
    np.testing.assert_array_equal((~np.isnan(means[:, :, 0])).sum(axis=1), lengths)
    pictures = load_arrays(tmp_path / "runs" / "a" / "pictures.safetensors")
    assert pictures["samples"].shape[1:] == (4, 3)
    assert tightbound("report", "a")[0] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": 2}, "layers has no meaning for network='deep_markov'"),
        ({"prior": "normal"}, "prior has no meaning"),
        ({"missingness": "linear"}, "missingness has no meaning"),
        ({"hidden": "4,4"}, "one number as hidden"),
        ({"posterior": "gamma"}, "posterior of sequences to be one of st_l, st_r, st_lr"),
    ],
)
def test_settings_without_a_meaning_for_sequences_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Config(network="deep_markov", **settings).check()
    for network in ("deep_markov", "vrnn"):
        Config(network=network, posterior="st_lr", hidden="8", latent="3").check()


def test_sizes_are_the_model_s_own_unless_they_are_given():
    plain = Config(network="deep_markov").sequence_sizes()
    assert plain == {"kind": "deep_markov", "likelihood": "bernoulli"}
    given = Config(network="deep_markov", latent="3", hidden="8", posterior="st_l")
    sizes = {"latent": 3, "hidden": 8, "posterior": "st_l"}
    assert given.sequence_sizes() == plain | sizes
