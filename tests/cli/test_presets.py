"""Published settings by name, and priors on the parameters, from the command line."""

import json
import tomllib

import pytest

from tightbound.core.errors import UsageError
from tightbound.recipes.settings import PRESETS, Config, preset

SMALL = ("--latent", "2", "--hidden", "8", "--epochs", "1", "--name", "run")


def test_presets_are_settings_and_unknown_ones_are_refused():
    for name in PRESETS:
        Config(**preset(name))
    aevb = Config(**preset("aevb"))
    # Kingma & Welling (2013), section 5.
    assert (aevb.data, aevb.split, aevb.hidden, aevb.batch_size) == ("mnist", "aevb", "500", 100)
    assert (aevb.samples, aevb.weight_prior, aevb.optimizer) == (1, 1.0, "adagrad")
    assert Config(**preset("aevb_frey")).likelihood == "gaussian_unit_mean"
    assert (Config(**preset("iwae")).epochs, Config(**preset("iwae")).batch_size) == (3280, 20)
    with pytest.raises(UsageError, match="expected preset to be one of aevb, .* got 'vae'"):
        preset("vae")


@pytest.mark.slow
def test_a_flag_goes_before_the_preset(tightbound, tmp_path):
    flags = ("digits", "--split", "default", *SMALL, "--evaluate-k", "0")
    assert tightbound("fit", *flags, "--preset", "aevb")[0] == 0
    folder = tmp_path / "runs" / "run"
    written = tomllib.loads((folder / "config.toml").read_text())
    assert (written["data"], written["hidden"], written["learning_rate"]) == ("digits", "8", 0.02)
    record = json.loads((folder / "run.json").read_text())
    assert record["objective"] == (
        "map_estimate(elbo(estimator='B', samples=1), n=1297, scale=1.0)"
    )
    assert record["bound"]["kind"] == "lower"
    status, _, error = tightbound("fit", "digits", "--preset", "vae", "--name", "other")
    assert (status, error.count("\n")) == (2, 1)
    assert not (tmp_path / "runs" / "other").exists()


@pytest.mark.slow
def test_a_bayesian_run_is_judged_by_its_plug_in_model(tightbound, tmp_path):
    flags = ("digits", *SMALL, "--objective", "elbo", "--bayesian", "1", "--evaluate-k", "20")
    assert tightbound("fit", *flags)[0] == 0
    folder = tmp_path / "runs" / "run"
    (evaluation,) = (folder / "evaluations").iterdir()
    assert evaluation.name.startswith("test-k20-key0-")
    assert json.loads((folder / "run.json").read_text())["objective"].startswith("full_vb(elbo(")
    assert tightbound("sample", folder, "--n", "3")[0] == 0
    status, _, error = tightbound("fit", *flags, "--weight-prior", "1", "--name", "both")
    assert (status, "two priors" in error) == (2, True)
