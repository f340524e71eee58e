"""The examples run from the command line, here with small numbers, and say what they should."""

import json
import re

import numpy as np
import pytest

import tightbound as tb
from tests.examples import example


def run(name, *arguments):
    example(name).main([str(word) for word in arguments])


@pytest.mark.slow
def test_the_jackknifes_bias_is_that_of_digammas(tmp_path, capsys):
    run("jackknife_bias", "--out", tmp_path, "--replicas", 20_000, "--largest", 8)
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == 2
    for row in rows:
        cells = row.strip("| ").split(" | ")[1:]
        for measured, exact in zip(cells[::2], cells[1::2], strict=True):
            mean, twice_error = (float(number) for number in measured.split(" ± "))
            # 8 numbers at 5 standard errors: fails by chance below 5e-6 for new draws.
            assert abs(mean - float(exact)) < 2.5 * twice_error + 1e-5
    assert (tmp_path / "jackknife_bias.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_model_from_its_weights_alone_has_the_evidence_of_the_model_itself(tmp_path, capsys):
    arguments = ["--epochs", 2, "--items", 20, "--k", 20, "--temperatures", 0]
    run("foreign_model", "--out", tmp_path, *arguments)
    printed = capsys.readouterr().out
    apart = re.findall(r"largest difference from the model itself: (\S+) nats", printed)
    assert len(apart) == 2  # .npz and .safetensors
    assert max(map(float, apart)) < 1e-4
    assert "of 5 units active" in printed


@pytest.mark.slow
def test_a_checkpoint_of_pytorch_has_the_evidence_of_its_network_in_numpy(capsys):
    run("foreign_heads", "--items", 20, "--k", 500)
    printed = capsys.readouterr().out
    assert "encoder.2.weight: (4, 16)" in printed
    assert "L_50 = " in printed
    assert "L_64 = " in printed
    error, stderr = re.findall(r"error of the evidence: (\S+) nats, standard error (\S+)", printed)[
        0
    ]
    assert abs(float(error)) < 5 * float(stderr) < 0.5
    # 10,000 draws of log-weights that scatter by 0.7 nats, at 5 standard errors.
    of_elbo = re.findall(r"error of the ELBO: (\S+) nats", printed)[0]
    assert abs(float(of_elbo)) < 0.04


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eight_schools", "logistic_regression"])
def test_targets_are_fitted_and_scored(name, tmp_path, capsys):
    arguments = ["--steps", 200, "--batch", 16, "--draws", 400, "--only", "normal"]
    run(name, "--out", tmp_path, *arguments)
    printed = capsys.readouterr().out
    assert "| normal | `elbo()` |" in printed
    assert (tmp_path / f"{name}.png").stat().st_size > 5_000


# By the trapezoid rule on 3001 x 3001 points: E[z_1|x], Var[z_1|x], corr(z_1, z_2|x).
SPRINKLER = {
    0.0: (-0.35383, 1.44222, 0.01917),
    5.0: (-0.08004, 1.75715, -0.02191),
    8.0: (0.13547, 1.95968, -0.08362),
    12.0: (0.44062, 2.17281, -0.20996),
    50.0: (1.40670, 3.05145, -0.64449),
}


@pytest.mark.parametrize("x", SPRINKLER)
def test_the_sprinklers_posterior_has_its_moments(x):
    found = example("sprinkler").exact(tb.models.problems.sprinkler(), x)
    moments = [found[name] for name in ("mean", "variance", "correlation")]
    np.testing.assert_allclose(moments, SPRINKLER[x], atol=2e-4)


@pytest.mark.slow
def test_an_implicit_posterior_learns_both_lobes_of_the_sprinkler(tmp_path, capsys):
    arguments = ["--steps", 1500, "--batch", 200, "--draws", 20_000, "--only"]
    run("sprinkler", "--out", tmp_path, *arguments, "elbo")
    run("sprinkler", "--out", tmp_path, *arguments, "pc_adv()")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.strip("| ").split(" | ")[3:] for line in lines if " ± " in line]
    normal, implicit = ([float(cell.split(" ± ")[0]) for cell in row] for row in rows)
    assert normal[-1] > 0.5  # one lobe for two
    assert implicit[-1] < 0.2
    assert max(implicit) < 0.2
    assert (tmp_path / "sprinkler.png").stat().st_size > 10_000


@pytest.mark.slow
def test_four_points_are_judged_by_quadrature(tmp_path, capsys):
    arguments = ["--steps", 800, "--batch", 100, "--seeds", 2]
    run("four_points", "--out", tmp_path, *arguments, "--only", "elbo")
    run("four_points", "--out", tmp_path, *arguments, "--only", "pc_adv()")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if " to " in line]
    normal, implicit = (float(row[2].split(" (")[0]) for row in rows)
    assert normal < -1.386294  # log p(x) is at best that of a fair choice of four
    assert implicit < -1.386294
    assert implicit > -1.8
    assert (tmp_path / "four_points.png").stat().st_size > 5_000


@pytest.mark.slow
def test_autoencoders_with_posteriors_of_all_kinds_are_judged_by_annealing(tmp_path, capsys):
    arguments = ["--data", "digits", "--latent", 2, "--epochs", 2, "--seeds", 2, "--items", 4]
    run("image_posteriors", "--out", tmp_path, *arguments, "--temperatures", 20, "--chains", 4)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:-1]]
    assert [row[0] for row in rows] == ["normal", "implicit", "implicit", "semi_implicit"]
    assert all(-60 < float(row[2]) < -10 for row in rows)  # 64 pixels of log 2 each are 44 nats
    assert (tmp_path / "image_posteriors.png").stat().st_size > 5_000


@pytest.mark.slow
def test_simulators_are_compared_by_what_there_is(tmp_path, capsys):
    arguments = ["--simulations", 200, "--steps", 10, "--draws", 50, "--observations", 1]
    run("simulators", "--out", tmp_path, *arguments, "--only", "two moons")
    rows = capsys.readouterr().out.splitlines()[2:-1]
    assert len(rows) == 4  # objectives
    assert all(row.startswith("| two moons | 200 |") for row in rows)
    assert (tmp_path / "simulators.png").stat().st_size > 5_000


@pytest.mark.slow
def test_restored_values_keep_their_mean_and_lie_on_the_roll(tmp_path, capsys):
    run("restoration", "--out", tmp_path, "--steps", 400, "--items", 300, "--only", "denoiser")
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:-1]]
    entropy = [float(row[1]) for row in rows]
    prior, best, least_squares, restored = entropy
    assert best < prior < least_squares
    assert restored < 0.5 * least_squares
    assert all(float(row[2]) < 1e-10 for row in rows)
    assert (tmp_path / "restoration.png").stat().st_size > 10_000


@pytest.mark.slow
def test_restored_images_keep_their_means(tmp_path, capsys):
    run("image_restoration", "--out", tmp_path, "--steps", 40, "--batch", 40, "--only", "denoiser")
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:-1]]
    themselves, repeated, least_squares, denoised = rows
    assert float(least_squares[1]) > float(repeated[1])  # PSNR
    assert all(float(row[2]) < float(themselves[2]) for row in (repeated, least_squares, denoised))
    assert all(float(row[3]) < 1e-10 for row in rows)
    assert (tmp_path / "image_restoration.png").stat().st_size > 10_000


@pytest.mark.slow
def test_signal_to_noise(tmp_path, capsys):
    run("gradient_snr", "--out", tmp_path, "--replicas", 20, "--largest", 16)
    assert capsys.readouterr().out.count("±") == 12
    assert (tmp_path / "gradient_snr.png").stat().st_size > 10_000


@pytest.mark.slow
def test_objectives_at_equal_cost_and_none_twice(tmp_path, capsys):
    arguments = ["--data", "digits", "--split", "default", "--epochs", 2, "--draws", 4]
    arguments += ["--latent", 2, "--hidden", 4, "--items", 5, "--k", 70]
    arguments += ["--only", "iwae(4);rws(4)", "--out", tmp_path / "rows.jsonl"]
    run("mnist_objectives", *arguments, "--seeds", 1)
    run("mnist_objectives", *arguments, "--seeds", 2)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(row["objective"], row["seed"]) for row in rows] == [
        ("iwae(4)", 0),
        ("rws(4)", 0),
        ("iwae(4)", 1),
        ("rws(4)", 1),
    ]
    table = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[:2] for line in table[-2:]] == [
        ["| `iwae(4)`", "2"],
        ["| `rws(4)`", "2"],
    ]


@pytest.mark.slow
def test_estimators_by_nats_and_seconds_and_none_twice(tmp_path, capsys):
    arguments = ["--data", "digits", "--split", "default", "--epochs", 1, 1, "--latent", 2]
    arguments += ["--hidden", 8, "--items", 6, "--pairs", 30, "--drawn", 4, "--draws", 20, 60]
    arguments += ["--temperatures", 3, "--gap-temperatures", 3, "--pair-temperatures", 3]
    arguments += ["--chains", 2, "--leapfrog", 2, "--folder", tmp_path, "--out", tmp_path]
    run("mnist_estimators", *arguments)
    first = capsys.readouterr().out
    records = (tmp_path / "records.jsonl").read_text()
    run("mnist_estimators", *arguments)
    again = capsys.readouterr().out
    assert (tmp_path / "records.jsonl").read_text() == records
    assert first.endswith(again)
    names = ["ELBO, k = 20", "IWAE-20", "IWAE-60", "JVI-1, k = 20", "JVI-2, k = 20"]
    names += ["AIS from prior, 3", "AIS from q, 3"]
    for model in ("VAE", "IWAE"):
        lines = again.split(f"{model}, 6 images:\n\n")[1].split("\n\n")[0].splitlines()[2:]
        cells = [line.strip("| ").split(" | ") for line in lines]
        assert sorted(cell[0] for cell in cells) == sorted(names)
        seconds = [float(cell[4]) for cell in cells]
        assert seconds == sorted(seconds)
        assert all(float(number) > 0 for number in seconds)
    rows = [json.loads(line) for line in records.splitlines()]
    means = {(row["model"], row["family"], row["estimator"]): row["values"] for row in rows}
    for model in ("VAE", "IWAE"):
        # 30 digits, 20 and 60 draws: the bounds are 0.3 to 2 nats apart (seeds are fixed).
        elbo = sum(means[model, "ELBO", "ELBO, k = 20"]) / 30
        assert elbo < sum(means[model, "IWAE", "IWAE-60"]) / 30
    assert [len(line.split(" | ")) for line in again.splitlines()[-9:-1]] == [5] * 8
    assert (tmp_path / "mnist_estimators.png").stat().st_size > 10_000


@pytest.mark.slow
def test_semi_implicit_posteriors_of_toys(tmp_path, capsys):
    arguments = ["--steps", 300, "--seeds", 1, "--only", "1-D", "--k", 20, "--draws", 200]
    run("sivi_toys", "--out", tmp_path, *arguments)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:5]]
    assert [row[1] for row in rows] == ["normal", "sivi", "uivi"]
    normal, semi, score = (float(row[3].split(" ")[0]) for row in rows)
    # One normal for two modes is 0.1 to 0.5 off; the mixtures fit both.
    assert semi < 0.6 * normal
    assert score < 0.6 * normal
    assert (tmp_path / "sivi_toys.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_negative_binomial_against_quadrature(tmp_path, capsys):
    arguments = ["--steps", 600, "--seeds", 1, "--k", 30, "--draws", 200]
    run("negative_binomial", "--out", tmp_path, *arguments)
    lines = capsys.readouterr().out.splitlines()[3:6]
    exact, semi, normal = ([float(cell) for cell in row.split(" | ")[1:6]] for row in lines)
    assert semi[4] == pytest.approx(exact[4], abs=0.05)
    assert semi[2] == pytest.approx(exact[2], rel=0.3)
    assert abs(normal[4]) < 0.05
    assert normal[2] < 0.5 * exact[2]
    assert (tmp_path / "negative_binomial.png").stat().st_size > 10_000


@pytest.mark.slow
def test_not_miwae_deletes_high_values_and_scores_those_alone(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1)) + 0.3 * rng.normal(size=(60, 4))
    (tmp_path / "uci").mkdir()
    rows = "\n".join(",".join(f"{v:.4f}" for v in row) + ",1" for row in x)
    (tmp_path / "uci" / "banknote_authentication.csv").write_text(rows)
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path))
    read = example("not_miwae").table("banknote")
    np.testing.assert_allclose(read, (x - x.mean(axis=0)) / x.std(axis=0), atol=1e-3)
    holed = example("not_miwae").with_high_values_deleted(read)
    assert np.array_equal(np.isnan(holed[:, :2]), read[:, :2] > 0)
    assert not np.isnan(holed[:, 2:]).any()
    few = ("--steps", 40, "--k", 3, "--draws", 50)
    run("not_miwae", "banknote", *few)
    assert "| banknote | self_masking | unknown | no | linear | 40 | " in capsys.readouterr().out
    run("not_miwae", "banknote", *few, "--sign", "high_missing", "--censored")
    assert "| high_missing | yes | linear | 40 | " in capsys.readouterr().out


@pytest.mark.slow
def test_a_manifold_is_drawn_with_the_data_on_it(tmp_path, capsys):
    few = ("--hidden", 8, "--epochs", 2, "--side", 4, "--k", 20)
    run("frey_manifold", "--out", tmp_path, *few)
    printed = capsys.readouterr().out
    assert "2 latents of 1,297 rows" in printed
    assert (tmp_path / "frey_manifold.png").stat().st_size > 10_000
    codes = example("frey_manifold").grid(4)
    assert codes[0, 0] == -codes[0, 1] < 0  # from the top left, where the second is largest


@pytest.mark.slow
def test_restored_images_stand_beside_other_methods(tmp_path, capsys):
    few = ("--epochs", 1, "--items", 6, "--k", 30, "--hidden", 4, "--latent", 2)
    run("restored_images", "--out", tmp_path, *few)
    lines = capsys.readouterr().out.splitlines()[2:]
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    names = ["means", "10 nearest", "probabilistic PCA", "normal", "encoder and decoder"]
    assert [row[1] for row in rows[:6]] == [*names, "tb.tasks.inpaint"]
    assert [row[1] for row in rows[6:]] == ["as they are", *names, "tb.tasks.denoise"]
    assert all(0 < float(row[2]) < 0.3 for row in rows)
    assert (tmp_path / "restored_digits.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep_markov", "vrnn"])
def test_chorales_are_fitted_and_judged_per_step(kind, tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    part = [(rng.random((steps, 4)) < 0.4).astype(int).tolist() for steps in (3, 5, 4)]
    (tmp_path / "x.json").write_text(json.dumps({"train": part, "valid": part, "test": part}))
    ds = tb.data.load(tmp_path / "x.json")
    monkeypatch.setattr(tb.data, "load", lambda name: ds)
    sizes = ["--latent", 2, "--hidden", 3, "--batch-size", 3, "--epochs", 2]
    run("jsb_chorales", kind, *sizes, "--k", 3, "--particles", 4)
    printed = capsys.readouterr().out
    assert "test: 3 chorales, 12 steps" in printed
    cells = printed.splitlines()[-1].strip("| ").split(" | ")
    assert cells[0] == f"{kind}, st_r, elbo()"
    elbo, weighed = float(cells[1]), float(cells[2])
    assert 0 < weighed <= elbo
    assert all(re.fullmatch(r"\d\.\d{3} ± \d\.\d{3}", cell) for cell in cells[3:])


@pytest.mark.slow
def test_few_labels_are_fitted_draw_by_draw_and_none_twice(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    few = ["--rows", path, "--hidden", 4, "--latent", 2, "--epochs", 1, "--m1-epochs", 1]
    few += ["--items", 40, "--evidence-items", 4, "--k", 30]
    run("few_labels", *few, "--draws", 1)
    first = path.read_text()
    assert [json.loads(line)["model"] for line in first.splitlines()] == ["M1+M2", "M2"]
    run("few_labels", *few, "--draws", 2, "--only", "M2")
    assert path.read_text().startswith(first)
    assert [json.loads(line)["draw"] for line in path.read_text().splitlines()] == [0, 0, 1]
    cells = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    assert cells[:2] == ["M2", "2"]
    assert all(re.fullmatch(r"-?\d+\.\d+ ± \d+\.\d+", cell) for cell in cells[2:7])


@pytest.mark.slow
def test_a_fit_by_the_hour_leaves_its_curve_and_goes_on(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    few = ["--data", "digits", "--rows", path, "--out", tmp_path, "--directory", tmp_path / "fit"]
    few += ["--k", 30, "--items", 10, "--annealed-items", 3, "--temperatures", 4, "--chains", 2]
    for _ in range(2):
        run("mnist_hours", "dense", *few, "--epochs", 2)
    first, again = map(json.loads, path.read_text().splitlines())
    assert first == again  # hours too: the second call found the fit done
    assert len(first["curve"]) == 2
    assert first["elbo"] < first["log_p"]
    cells = capsys.readouterr().out.splitlines()[-2].strip("| ").split(" | ")
    assert cells[0] == "dense"
    assert re.fullmatch(r"-?\d+\.\d\d ± \d+\.\d\d", cells[-1])
    assert (tmp_path / "mnist_hours.png").stat().st_size > 10_000
