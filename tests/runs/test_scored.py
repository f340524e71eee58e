"""Data that are scored keep their order and their rows, whatever their number."""

import csv

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.oracles.linear_gaussian import log_normal
from tests.runs.conftest import K
from tightbound import runs
from tightbound.cli import run as command
from tightbound.core.digests.arrays import write_arrays
from tightbound.core.digests.record import read_record, write_record
from tightbound.core.errors import UsageError
from tightbound.data import load_arrays
from tightbound.report import json_records, summary_lines, write_report
from tightbound.runs.baselines import COMPONENTS, FULL, INDEPENDENT, gaussian_baselines
from tightbound.runs.evaluation import Answer
from tightbound.runs.source import load_part

pytestmark = pytest.mark.usefixtures("blank_charts")


@pytest.fixture
def new():
    return np.random.default_rng(1).normal(50, 3, size=(7, 2)).astype(np.float32)


def test_a_run_says_that_it_standardises_and_shows_the_datas_own_units(run, table):
    record = read_record(run / "run.json", "run")
    assert "standardised inside the model" in record["data"]["notes"]
    fitted = runs.open_run(run).run
    shown = load_arrays(run / "pictures.safetensors")
    assert all(np.abs(shown[name] - 50).max() < 30 for name in ("samples", "reconstructions"))
    # Of the parameters, none is a mean or a standard deviation of the data.
    decoder, encoder = 1 * 2 + 2 + 2 * (2 * 2 + 2), 2 * 2 + 2 + 2 * (2 * 1 + 1)
    assert record["parameters"] == decoder + encoder
    density = tb.evaluate(fitted.model, fitted.posterior, table, k=K).mean
    # Two epochs: near the density of independent normals of the table's deviations.
    normal = -np.log(table.std(axis=0)).sum() - np.log(2 * np.pi * np.e)
    assert abs(density - normal) < 3


def test_a_baseline_is_the_density_of_one_gaussian():
    rng = np.random.default_rng(3)
    train = 1000 + rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3)) * [1e-2, 1e3, 1.0]
    x = train[:20] + [1e-2, 500.0, 0.0]
    found = gaussian_baselines(train, x)
    mean, std = train.mean(axis=0), train.std(axis=0)
    right = [
        stats.norm.logpdf(x, mean, std).sum(axis=1),
        log_normal(x - mean, np.cov(train.T, bias=True)),
    ]
    np.testing.assert_allclose([found[INDEPENDENT], found[FULL]], right, rtol=1e-6)
    # Three rows, or a column that another determines, leave the full covariance open.
    assert set(gaussian_baselines(train[:3], x)) == {INDEPENDENT}
    twice = train[:, [0, 1, 1]].astype(np.float32)
    assert set(gaussian_baselines(twice, twice)) == {INDEPENDENT}


def test_a_baseline_counts_known_values_alone_and_a_mixture_is_chosen_on_held_out_rows():
    rng = np.random.default_rng(4)
    far = rng.integers(0, 2, 400)
    x = (rng.normal(size=(400, 2)) + 8 * far[:, None]) * [1.0, 100.0]
    train, validation, test = np.split(x, [250, 325])
    found = gaussian_baselines(train, test, validation)
    independent, full, (name, mixture) = *list(found.values())[:2], list(found.items())[2]
    assert name.startswith("a mixture of ")
    assert int(name.split()[3]) in COMPONENTS
    assert mixture.mean() > full.mean() > independent.mean()
    # Of two unit normals 8 apart, with log 2 for which of them, and log 100 for the unit.
    entropy = np.log(2 * np.pi * np.e) + np.log(2) + np.log(100)
    assert mixture.mean() == pytest.approx(-entropy, abs=0.35)  # 3 standard errors of 75 rows


@pytest.mark.slow
def test_baselines_of_rows_with_holes_are_those_of_the_known_values():
    rng = np.random.default_rng(5)
    train = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 3)) * [1.0, 1e3, 1e-2] + 7
    x = train[:20].copy()
    whole = gaussian_baselines(train, x)
    x[::2, 1] = np.nan
    found = gaussian_baselines(train, x)
    mean, std = train.mean(axis=0), train.std(axis=0)
    cells = stats.norm.logpdf(x, mean, std)
    np.testing.assert_allclose(found[INDEPENDENT], np.nansum(cells, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found[FULL][1::2], whole[FULL][1::2], rtol=1e-4)
    kept = np.cov(train.T, bias=True)[np.ix_([0, 2], [0, 2])]
    right = log_normal((x - mean)[::2][:, [0, 2]], kept)
    np.testing.assert_allclose(found[FULL][::2], right, rtol=1e-4)


def test_a_run_on_real_values_has_its_baselines_beside_its_number(run, table):
    record = json_records(run)["evaluation"]
    ds = tb.data.load("table.npy")
    rows = gaussian_baselines(ds.train, ds.test)
    assert record["baselines"] == pytest.approx({name: of.mean() for name, of in rows.items()})
    # The ladder's correction of the mean is in the difference too.
    said = record["against_baselines"][FULL]
    assert said["difference"] == pytest.approx(record["mean"] - record["baselines"][FULL])
    assert said["low"] < said["difference"] < said["high"]
    (line,) = [line for line in summary_lines(run) if f"baseline, {FULL}" in line]
    assert f"{record['baselines'][FULL]:.2f} nats per item" in line.replace("\u2212", "-")


def test_reconstructions_stand_in_the_order_of_the_file(run, new, table):
    fitted = runs.open_run(run).run
    likelihood, q = fitted.model.likelihood, fitted.posterior
    right = np.array([likelihood.mean(q.mean(jnp.asarray(x))) for x in new])
    np.save("new.npy", new)
    found = runs.reconstruct_data(run, "new.npy")
    means, error, measure = found.means, found.error, found.measure
    np.testing.assert_allclose(means, right, rtol=1e-5)
    apart = (right - new) / table[tb.data.load("table.npy").rows["train"]].std(axis=0)
    assert measure == "mean_squared_error_standardised"
    assert error == pytest.approx(float(np.mean(apart**2)), rel=1e-4)
    assert len({tuple(row) for row in means.tolist()}) == 7
    np.save("reversed.npy", new[::-1])
    np.testing.assert_allclose(runs.reconstruct_data(run, "reversed.npy")[0], means[::-1])
    np.save("one.npy", new[3:4])
    np.testing.assert_allclose(runs.reconstruct_data(run, "one.npy")[0], means[3:4], rtol=1e-5)
    np.testing.assert_allclose(runs.reconstruct_data(run, "new.npy", limit=2)[0], means[:2])
    own = runs.reconstruct_data(run, "table.npy").means  # all of it, not in the order of the fit
    np.testing.assert_allclose(own[29], likelihood.mean(q.mean(jnp.asarray(table[29]))), rtol=1e-5)


@pytest.mark.slow
def test_an_evaluation_of_a_file_is_of_its_rows_and_never_leads(run, new):
    before = json_records(run)["evaluation"]
    fitted = runs.open_run(run).run
    right = tb.evaluate(fitted.model, fitted.posterior, new, k=50, key=3).log_evidence
    np.save("new.npy", new)
    answer = runs.evaluate_run(run, k=50, key=3, data="new.npy")
    arrays = load_arrays(answer.path)
    np.testing.assert_allclose(arrays["log_evidence"], right[None], rtol=1e-5)
    np.testing.assert_array_equal(arrays["rows"], np.arange(7))
    assert (answer.record["n"], answer.record["source"]["name"]) == (7, "new.npy")
    assert not answer.known
    assert runs.evaluate_run(run, k=50, key=3, data="new.npy").known
    one = runs.evaluate_run(run, k=50, key=3, data="new.npy", limit=1)
    np.testing.assert_allclose(one.record["mean"], right[0], rtol=1e-5)
    found = json_records(run)
    assert found["evaluation"] == before
    assert [e["stale"] for e in found["evaluations"]] == [""] * 3
    rows = "\n".join(summary_lines(run))
    assert "file log-likelihood, k = 50, key 3" in rows
    assert "; new.npy |" in rows
    assert "; the first 1 items of new.npy |" in rows
    assert "the first 1 items of new.npy" in write_report(run).read_text(encoding="utf-8")
    changed = new + np.float32(1)
    np.save("new.npy", changed)
    assert not runs.evaluate_run(run, k=50, key=3, data="new.npy").known


def test_rows_of_a_part_are_those_of_the_source(run, table):
    whole = load_arrays(runs.evaluate_run(run, k=K).path)
    ds = tb.data.load("table.npy")
    assert len(whole["rows"]) == 3
    np.testing.assert_array_equal(table[whole["rows"]], ds.test)
    before = json_records(run)["evaluation"]
    part = runs.evaluate_run(run, k=2 * K, limit=2)
    np.testing.assert_array_equal(load_arrays(part.path)["rows"], whole["rows"][:2])
    assert part.record["limit"] == 2
    assert json_records(run)["evaluation"] == before  # although k is larger
    assert runs.evaluate_run(run, k=K, limit=3).known  # which are all of them


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        ({"columns": ["b", "a"]}, "expected the columns of the fit in their order, got 'a' where"),
        ({"columns": ["a", "b", "c"]}, "got '2 columns' where '3 columns' was"),
        ({"scale": 255.0}, "its values are divided by 1, those of the fit were by 255"),
        ({"shape": [3]}, r"expected items of shape \(3,\) like the run's, got 2 values"),
    ],
)
def test_a_file_that_is_not_like_the_data_of_the_fit_is_refused(run, new, fit, words):
    np.savetxt("new.csv", new, delimiter=",", header="a,b", comments="")
    runs.reconstruct_data(run, "new.csv")
    record = read_record(run / "run.json", "run")
    write_record(run / "run.json", "run", {**record, "data": {**record["data"], **fit}})
    for ask in (
        lambda: runs.reconstruct_data(run, "new.csv"),
        lambda: runs.evaluate_run(run, k=2, data="new.csv"),
    ):
        with pytest.raises(UsageError, match=words):
            ask()
    with pytest.raises(UsageError, match="expected limit >= 1, got 0"):
        runs.evaluate_run(run, k=2, data="new.csv", limit=0)


def test_the_names_of_rows_stand_beside_their_numbers(run, new, monkeypatch):
    pandas = pytest.importorskip("pandas")
    names = ["a,1", 'b "2"', "c", "d", "e", "f", "g"]
    pandas.DataFrame(new, index=names).to_csv("new.csv")
    answer = runs.evaluate_run(run, k=K, data="new.csv", limit=5)
    assert answer.record["row_names"] == names[:5]
    again = runs.evaluate_run(run, k=K, data="new.csv", limit=5)
    assert again.known
    found = runs.per_datum(again)
    assert (found["row"], found["name"], found["seed"]) == ([0, 1, 2, 3, 4], names[:5], [0] * 5)
    fitted = runs.open_run(run).run
    alone = tb.evaluate(fitted.model, fitted.posterior, new[:5], k=K)
    for name in ("log_evidence", "stderr", "khat"):
        np.testing.assert_array_equal(found[name], getattr(alone, name))
    flags = ("--k", str(K), "--data", "new.csv", "--limit", "5", "--out", "scores.csv")
    assert command(["evaluate", "r", *flags]) == 0
    with open("scores.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == names[:5]
    numbers = np.array([line["log_evidence"] for line in lines], np.float32)
    np.testing.assert_array_equal(numbers, alone.log_evidence)
    assert list(lines[0])[:4] == ["seed", "row", "name", "log_evidence"]
    pandas.DataFrame(new, index=names[::-1]).to_csv("new.csv")
    with pytest.raises(UsageError, match="other names of its rows.*--overwrite"):
        runs.evaluate_run(run, k=K, data="new.csv", limit=5)
    # Parts of a split hold other rows, each with its own name.
    ds = tb.data.load(pandas.DataFrame(np.tile(new, (4, 1)), index=[f"r{i}" for i in range(28)]))
    monkeypatch.setattr("tightbound.runs.source.load_source", lambda *_: ds)
    part = load_part(run, runs.open_run(run), "test")
    assert part.names == tuple(f"r{row}" for row in part.rows)
    np.testing.assert_array_equal(part.x, np.tile(new, (4, 1))[part.rows])


def test_several_seeds_and_no_names_make_a_long_table(tmp_path):
    arrays = {"log_evidence": np.array([[1.0, 2.0], [3.0, 4.0]]), "rows": np.array([7, 3])}
    write_arrays(tmp_path / "ev.safetensors", "evaluation", arrays, {"split": "test"})
    found = runs.per_datum(Answer({}, tmp_path / "ev.safetensors", known=True))
    assert found == {"seed": [0, 0, 1, 1], "row": [7, 3, 7, 3], "log_evidence": [1, 2, 3, 4]}
