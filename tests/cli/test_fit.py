import contextlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import tightbound as tightbound_package
from tightbound.core.errors import Interrupted
from tightbound.data import load_arrays
from tightbound.evidence.verdict import WORDS

SMALL = ("--latent", "2", "--hidden", "16", "--k", "3", "--epochs", "2", "--evaluate-k", "50")


def records(folder):
    names = ("config.toml", "metrics.jsonl", "run.json", "units.json", "report.html")
    arrays = ("pictures.safetensors", "model.safetensors")
    return [*(folder / name for name in (*names, *arrays)), evaluation(folder)]


def evaluation(folder):
    (path,) = (folder / "evaluations").iterdir()
    return path


def bounds(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        (json.loads(line)["train_bound"], json.loads(line)["validation_bound"]) for line in lines
    ]


def test_fit_leaves_a_whole_run_and_one_line_of_json(tightbound, tmp_path):
    status, out, _ = tightbound("fit", "digits", *SMALL, "--seeds", "2", "--json")
    assert status == 0
    folder = tmp_path / "runs" / "digits-iwae"
    assert all(path.is_file() for path in records(folder))
    line = json.loads(out)
    assert all(not isinstance(value, dict | list) for value in line.values())
    arrays = load_arrays(evaluation(folder))
    assert arrays["log_evidence"].shape == (2, 300)
    means = arrays["log_evidence"].mean(axis=1)
    assert line["mean"] == pytest.approx(means.mean(), abs=1e-4)
    assert line["stderr"] == pytest.approx(means.std(ddof=1) / 2**0.5, rel=1e-3)
    of_draws = np.sqrt((arrays["stderr"] ** 2).sum()) / arrays["stderr"].size
    assert line["stderr_draws"] == pytest.approx(of_draws, rel=1e-3)
    np.testing.assert_array_equal(arrays["rows"], np.arange(300))
    assert line["low"] < line["mean"] < line["high"]
    assert (line["split"], line["k"], line["n"], line["unit"]) == ("test", 50, 300, "nats")
    assert (line["seeds"], line["epochs"], line["annealed_mean"]) == (2, 2, None)
    assert line["verdict"] in WORDS
    assert isinstance(line["stderr_at_least"], bool)
    assert line["parameters"] == 64 * 16 + 16 + 2 * (16 * 2 + 2) + 2 * 16 + 16 + 16 * 64 + 64
    pictures = load_arrays(folder / "pictures.safetensors")
    assert pictures["manifold"].shape == (400, 64)
    assert len(bounds(folder)) == 2
    assert len(bounds(folder)[0][0]) == 2


@pytest.mark.slow
def test_config_equals_flags_and_flags_win(tightbound, tmp_path):
    assert tightbound("fit", "digits", *SMALL, "--name", "flags")[0] == 0
    written = tmp_path / "runs" / "flags" / "config.toml"
    assert tightbound("fit", "--config", written, "--name", "toml")[0] == 0
    folders = [tmp_path / "runs" / name for name in ("flags", "toml")]
    more = ("--name", "more", "--epochs", "3")
    assert bounds(folders[0]) == bounds(folders[1])
    assert evaluation(folders[0]).name == evaluation(folders[1]).name  # same weights and data
    found = [load_arrays(evaluation(folder)) for folder in folders]
    np.testing.assert_array_equal(found[0]["log_evidence"], found[1]["log_evidence"])
    assert tightbound("fit", "--config", written, *more, "--evaluate-k", "0")[0] == 0
    assert tomllib.loads((tmp_path / "runs/more/config.toml").read_text())["epochs"] == 3


@pytest.mark.slow
def test_resume_goes_on_with_the_same_numbers(tightbound, tmp_path):
    flags = (
        "--schedule",
        "constant",
        "--latent",
        "2",
        "--hidden",
        "8",
        "--k",
        "2",
        "--evaluate-k",
        "0",
    )
    assert tightbound("fit", "digits", *flags, "--epochs", "4", "--name", "whole")[0] == 0
    assert tightbound("fit", "digits", *flags, "--epochs", "2", "--name", "parts")[0] == 0
    assert tightbound("fit", "--resume", "--name", "parts", "--epochs", "4")[0] == 0
    runs = tmp_path / "runs"
    assert bounds(runs / "whole") == bounds(runs / "parts")
    models = [
        (runs / name / "checkpoints" / "last.safetensors").read_bytes()
        for name in ("whole", "parts")
    ]
    assert models[0] == models[1]


@pytest.mark.slow
def test_families_of_latents_by_name(tightbound, tmp_path):
    flags = ("--posterior", "log_normal", "--prior", "exponential", "--name", "r")
    status, _, _ = tightbound("fit", "digits", *SMALL, *flags, "--evaluate-k", "0")
    assert status == 0
    folder = tmp_path / "runs" / "r"
    assert np.all(np.isfinite(bounds(folder)))
    settings = tomllib.loads((folder / "config.toml").read_text())
    assert (settings["posterior"], settings["prior"]) == ("log_normal", "exponential")
    # The manifold is a grid through the normal's inverse CDF.
    assert "manifold" not in load_arrays(folder / "pictures.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "digitz"], "digits"),
        (["fit", "digits", "--objective", "elbow"], "did you mean elbo"),
        (["fit", "digits", "--objective", "elbo", "--k", "5"], "the objective elbo takes"),
        (["fit", "digits", "--gradient", "nope"], "expected gradient to be one of"),
        (["fit", "digits", "--posterior", "nope"], "expected posterior to be one of exponential,"),
        (["fit", "digits", "--prior", "gamma"], "draws of normal are real, those of the prior"),
        (["fit", "digits", "--posterior", "uniform"], "use 'reparameterized'"),
        (["fit", "digits", "--inference", "down"], "expected inference to be one of bottom_up,"),
        (["fit", "digits", "--network", "cnn"], "did you mean conv"),
        (["fit", "digits", "--missingness", "linar"], "did you mean linear"),
        (["fit", "digits", "--missingness", "linear(3)"], "the options of linear by name"),
        (["fit", "digits", "--missingness", "linear(censored=1)"], "as True or False, got 1"),
        (["fit", "digits", "--batch-size", "100000"], "expected batch_size <= 1297"),
        (["fit", "digits", "--optimizer", "sgd"], "needs a learning rate"),
        (
            ["fit", "digits", "--optimizer", "nope", "--learning-rate", "1"],
            "expected optimizer to be one of adam,",
        ),
        (["fit", "digits", "--binarize", "none"], "row 0, column"),
        (["fit", "digits", "--latent", "x"], "expected latent as whole numbers"),
        (["fit", "digits", "--epochs", "x"], "expected --epochs as a whole number, got 'x'"),
        (["fit", "digits", "--config", "missing.toml"], "expected a config file"),
        (["fit", "digits", "--resume"], "--resume needs --name"),
        (["fit", "missing.npy"], "missing.npy"),
        (["evaluate", "runs/none"], "expected a run folder"),
        (["report", "runs/none"], "runs/none"),
        (["nonsense"], "nonsense"),
        (["fit", "digits", "--optimizer", "adamm"], "got 'adamm'; did you mean adam"),
        (["fit", "digits", "--likelihood", "normal"], "did you mean gaussian"),
        (["fit", "digits", "--activation", "relux"], "did you mean relu"),
        (["fit", "digits", "--schedule", "cos"], "did you mean cosine"),
        (["fit", "digits", "--prior", "nromal"], "did you mean normal"),
        (["fit", "digits", "--posterior", "gaussian"], "did you mean normal"),
        (["fit", "mnist", "--split", "iwa"], "did you mean iwae"),
        (["fit", "digits", "--preset", "aev"], "did you mean aevb"),
        (["fit", "digits", "--epochs", "0"], "expected --epochs >= 1, got 0"),
        (["fit", "digits", "--epochs", "-3"], "expected --epochs >= 1, got -3"),
        (["fit", "digits", "--epochs", "1e3"], "as a whole number, got '1e3'"),
        (["fit", "digits", "--epochs", "9" * 5000], "as a whole number, got '999"),
        (["fit", "digits", "--batch-size", "0"], "expected --batch-size >= 1, got 0"),
        (["fit", "digits", "--key", str(2**70)], "expected --key <= 4294967295"),
        (["fit", "digits", "--key", "-1"], "expected --key >= 0, got -1"),
        (["fit", "digits", "--learning-rate", "0"], "expected learning_rate > 0"),
        (["fit", "digits", "--learning-rate", "-1e-3"], "learning_rate > 0 and finite, got -0.001"),
        (["fit", "digits", "--learning-rate", "nan"], "a finite number, got 'nan'"),
        (["fit", "digits", "--initial", "inf"], "a finite number, got 'inf'"),
        (["fit", "digits", "--latent", "0"], "expected latent >= 1, got 0"),
        (["fit", "digits", "--latent", "3,4"], "1 entries of latent for layers=1, got 2"),
        (["fit", "digits", "--binarize", "fixed:x"], "a whole seed below 2**32"),
        (["fit", "digits", "--name", "x" * 300], "at most 200 bytes, got 300"),
        (["fit", "digits", "--name", "a/b"], "one folder under runs/, got 'a/b'"),
        (["fit", "digits", "--name", ".."], "one folder under runs/"),
        (["fit", "digits", "--name", ""], "one folder under runs/"),
        (["fit", "x" * 300], "expected data set to be one of"),
        (["fit", "digits", "--config", "."], "found a folder"),
        (["fit", "--resume", "--name", "none"], "no run at runs/none"),
        (["evaluate", "none", "--k", "0"], "expected --k >= 1, got 0"),
        (["evaluate", "none", "--temperatures", "0"], "expected --temperatures >= 1, got 0"),
        (["evaluate", "none", "--bounds-at", "0,64"], "expected --bounds-at >= 1, got 0"),
        (["evaluate", "none", "--bounds-at", "64,"], "--bounds-at as a whole number, got ''"),
        (["evaluate", "x" * 300], "expected a run folder"),
        (["sample", "none", "--n", str(10**12)], "expected --n <= 2147483647"),
    ],
)
def test_wrong_use_gives_one_clear_line_and_leaves_nothing(
    tightbound, tmp_path, arguments, message
):
    status, _, err = tightbound(*arguments)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert len(err) < 400
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "runs"])


def test_places_that_cannot_be_give_one_clear_line(tightbound, tmp_path):
    (tmp_path / "runs").write_bytes(b"a file")
    (tmp_path / "folder").mkdir()
    for arguments, message in [
        (["fit", "digits", *SMALL], "a file named runs stands where the folder of runs is"),
        (["fit", "--resume", "--name", "r"], "a file named runs stands where the folder"),
        (["fit", "digits", "--name", f"../{'n' * 300}"], "one folder under runs/, got"),
        (["fit", "--config", "folder"], "expected a config file at folder, found a folder"),
        (["evaluate", "n" * 300], "expected a run folder"),
        (["report", "n" * 300], "expected a run folder"),
        (["report", "runs"], "expected a run folder, got the file runs"),
        (["sample", "folder"], "expected a run folder at folder"),
    ]:
        status, _, err = tightbound(*arguments)
        assert (status, err.count("\n")) == (2, 1), err
        assert message in err
    assert (tmp_path / "runs").read_bytes() == b"a file"
    assert list((tmp_path / "folder").iterdir()) == []


def test_what_an_interrupted_fit_says_is_passed_on(tightbound, monkeypatch):
    def interrupt(*_, **__):
        raise Interrupted("interrupted; all is kept")

    monkeypatch.setattr("tightbound.runs.fit_run", interrupt)
    status, _, err = tightbound("fit", "digits")
    assert (status, err) == (130, "tightbound: interrupted; all is kept\n")


def fit_process(folder, *flags):
    root = Path(tightbound_package.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-m", "tightbound", "fit", "digits", *SMALL, *flags],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_of_two_fits_of_one_name_one_runs_and_the_other_refuses(tmp_path):
    processes = [fit_process(tmp_path, "--name", "r", "--epochs", "30") for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2]
    loser = next(i for i, process in enumerate(processes) if process.returncode)
    assert errors[loser].count("\n") == 1
    assert "in use by another process" in errors[loser] or "already" in errors[loser]
    folder = tmp_path / "runs" / "r"
    assert all(path.is_file() for path in records(folder))
    assert len(bounds(folder)) == 30


@pytest.mark.slow
def test_fits_that_are_killed_at_any_moment_go_on_to_the_same_model(tmp_path):
    """At a random moment of each; the seed is fixed, what the process does by then is not."""
    flags = ("--epochs", "60", "--evaluate-k", "0")
    whole = fit_process(tmp_path, "--name", "whole", *flags)
    errors = whole.communicate()[1]
    assert whole.returncode == 0, errors
    rng = np.random.default_rng(0)
    folder = tmp_path / "runs" / "r"
    for _ in range(6):
        resume = ["--resume"] if (folder / "config.toml").exists() else []
        process = fit_process(tmp_path, "--name", "r", *flags, *resume)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(2, 25))
        process.kill()
        process.communicate()
    resume = ["--resume"] if (folder / "config.toml").exists() else []
    last = fit_process(tmp_path, "--name", "r", *flags, *resume)
    errors = last.communicate()[1]
    assert last.returncode == 0, errors
    found = [
        json.loads((tmp_path / "runs" / name / "run.json").read_text()) for name in ("whole", "r")
    ]
    assert found[0]["weights"] == found[1]["weights"]
    assert not list(folder.rglob(".*.part"))


def test_unknown_and_mistyped_keys_of_a_config_are_refused(tightbound, tmp_path):
    for text, message in [
        ("epoch = 3\n", "expected key to be one of epochs"),
        ('epochs = "ten"\n', "expected epochs to be int, got 'ten'"),
        ("epochs = \n", "is not TOML"),
        ("epochs = 0\n", "expected epochs >= 1, got 0"),
        ("learning_rate = 0\n", "expected learning_rate > 0"),
        (f"learning_rate = {10**400}\n", "within what a float holds"),
        (f"epochs = {10**400}\n", "expected epochs <= 2147483647"),
        (f"epochs = {'9' * 5000}\n", "is not TOML"),
        (f"epochs = {'[' * 5000}\n", "is not TOML"),
        ("", "holds no settings"),
        ("data = '\xff'\n", "is not UTF-8"),
    ]:
        (tmp_path / "run.toml").write_bytes(text.encode("latin-1"))
        status, _, err = tightbound("fit", "--config", "run.toml")
        assert status == 2
        assert message in err
        assert err.count("\n") == 1


@pytest.mark.slow
def test_a_run_in_the_way_is_left_as_it_was(tightbound, tmp_path):
    assert tightbound("fit", "digits", *SMALL, "--name", "a")[0] == 0
    before = {path: path.read_bytes() for path in records(tmp_path / "runs" / "a")}
    status, _, err = tightbound("fit", "digits", *SMALL, "--name", "a")
    assert status == 2
    assert "--resume" in err
    assert {path: path.read_bytes() for path in before} == before


def test_own_data_with_an_infinity_names_row_and_column(tightbound, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[7, 2] = np.inf
    np.save(tmp_path / "table.npy", x)
    status, _, err = tightbound("fit", "table.npy", "--likelihood", "gaussian")
    assert status == 2
    assert "row 7" in err
    assert "column 2" in err


def test_a_run_that_diverges_exits_with_1(tightbound):
    status, _, err = tightbound(
        "fit", "digits", *SMALL, "--optimizer", "sgd", "--learning-rate", "1e30"
    )
    assert status == 1
    assert "not finite" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_gaussian_run_on_a_table(tightbound, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(200, 4))
    header = ",".join(f"c{i}" for i in range(4))
    np.savetxt(tmp_path / "table.csv", rows, delimiter=",", header=header, comments="")
    status, out, _ = tightbound(
        "fit", "table.csv", *SMALL, "--likelihood", "gaussian", "--batch-size", "20", "--json"
    )
    assert status == 0
    assert json.loads(out)["n"] == 20


@pytest.mark.slow
def test_an_adversarial_run_says_what_its_classifier_is_worth(tightbound, tmp_path):
    flags = ("--objective", "pc_adv(inner=1, hidden=(8,))", "--posterior", "implicit")
    sizes = ("--latent", "2", "--hidden", "8", "--epochs", "1", "--evaluate-k", "50")
    status, out, _ = tightbound("fit", "digits", *flags, *sizes, "--name", "r", "--json")
    assert status == 0
    line = json.loads(out)
    record = json.loads((tmp_path / "runs" / "r" / "calibration.json").read_text())
    assert line["classifier_loss"] == record["classifiers"][0]["loss"]
    (classifier,) = record["classifiers"]
    assert record["data"] == "validation"
    assert sum(classifier["counts"]) == 2 * record["draws"]
    assert 0 < classifier["loss"] < 2
    assert 0.3 < classifier["accuracy"] <= 1
    assert (tmp_path / "runs" / "r" / "figures" / "classifiers.png").is_file()
