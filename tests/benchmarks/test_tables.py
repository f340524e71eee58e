"""The benchmark of tables: what is hidden, how answers are judged, and what the tables say."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

if importlib.util.find_spec("benchmarks") is None:
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)

from benchmarks.tables import data
from benchmarks.tables.__main__ import main
from benchmarks.tables.contestants import CONTESTANTS, OURS, gaussian, mean, miss_forest, ours
from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed, crps, hide, judged, posed
from benchmarks.tables.questions import QUESTIONS
from benchmarks.tables.questions.anomalies import PosedRows, Rows, Scored
from benchmarks.tables.questions.anomalies import judged as judged_rows
from benchmarks.tables.questions.density import Split, resolution, split
from benchmarks.tables.questions.large import table
from benchmarks.tables.race import rows_in
from benchmarks.tables.table import markdown

ROOT = Path(__file__).resolve().parents[2]


def test_cells_are_hidden_at_their_rate_and_nested():
    x = np.ones((2000, 10))
    x[:, 0] = np.nan
    few, many = hide(x, 0.1, 3), hide(x, 0.5, 3)
    assert not many[:, 0].any()
    assert (few <= many).all()
    # 18,000 draws: six standard deviations are 0.0134 and 0.022, false alarms below 1e-8.
    assert few[:, 1:].mean() == pytest.approx(0.1, abs=0.0134)
    assert many[:, 1:].mean() == pytest.approx(0.5, abs=0.0224)
    assert (hide(x, 0.5, 3) == many).all()
    assert (hide(x, 0.5, 4) != many).any()


def test_crps_is_that_of_the_normal():
    # CRPS of N(0, 1) at y: y (2 Phi(y) - 1) + 2 phi(y) - 1 / sqrt(pi) (Gneiting & Raftery 2007).
    y = np.array([-2.0, 0.0, 0.7])
    exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    draws = np.random.default_rng(0).normal(size=(40_000, 1)) * np.ones(3)
    # A draw adds |x - y| less its share of the spread, of deviation below 1.2: six errors.
    np.testing.assert_allclose(crps(draws, y), exact, atol=6 * 1.2 / np.sqrt(40_000))
    # Of distinct pairs alone: two draws, half of their distance.
    assert crps(np.array([[0.0], [1.0]]), np.array([0.25]))[0] == pytest.approx(0.5 - 0.5)


def test_hidden_cells_alone_are_judged():
    x = np.random.default_rng(1).normal(5, 3, (400, 3))
    asked = posed(x, 0.2, 0)
    off = np.where(asked.hidden, 0.3 * x.std(axis=0), 1e3)
    draws = x + np.linspace(-9, 9, 200)[:, None, None]
    found = judged(asked, Filled(x + off, draws))
    assert found["rmse"] == pytest.approx(0.3)
    assert found["mae"] == pytest.approx(0.3)
    assert found["coverage"] == 1
    assert found["level_error"] is None
    assert found["log_p_numbers"] is None
    assert judged(asked, Filled(x))["crps"] is None
    with pytest.raises(ValueError, match="a hole was left"):
        judged(asked, Filled(asked.seen.x))


def levelled():
    rng = np.random.default_rng(2)
    level = rng.integers(0, 3, 300)
    x = np.stack([level, level + 0.1 * rng.normal(size=300)], axis=1).astype(float)
    hidden = rng.random(x.shape) < 0.2
    hidden[hidden.all(axis=1)] = False
    return Holed(np.where(hidden, np.nan, x), (3, 0)), x, hidden


def test_levels_are_coded_there_and_back():
    seen, x, hidden = levelled()
    coded = Coded.of(seen)
    assert coded.z.shape == (300, 4)
    back = coded.decoded(np.where(np.isnan(coded.z), 0, coded.z))
    np.testing.assert_allclose(back[~hidden], x[~hidden])
    np.testing.assert_allclose(np.nanstd(coded.z, axis=0), 1)


def test_forests_find_levels_and_say_how_sure_they_are():
    seen, x, hidden = levelled()
    found = miss_forest.impute(seen, 0)
    rows = np.flatnonzero(hidden[:, 0])
    assert (found.x[rows, 0] == x[rows, 0]).all()
    zeros = np.zeros_like(rows)
    p = [np.exp(found.log_p(rows, zeros, np.full(len(rows), float(v)))) for v in range(3)]
    np.testing.assert_allclose(sum(p), 1)
    # A column by itself knows a third.
    alone = mean.impute(seen, 0).log_p(rows, zeros, x[rows, 0])
    assert found.log_p(rows, zeros, x[rows, 0]).mean() > alone.mean() + 0.5


def test_the_gaussian_is_maximum_likelihood():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3)) + 7
    found = gaussian.log_density(Split(x[:150], x[150:], x[:20]), 0)
    density = stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, ddof=0))
    np.testing.assert_allclose(found, density.logpdf(x[:20]), rtol=1e-4)
    # With one hole the conditional is the regression on the other columns in the other rows.
    holed = x.copy()
    holed[0, 1] = np.nan
    given = gaussian.impute(Holed(holed, (0, 0, 0), draws=4000), 0)
    design = np.column_stack([np.ones(200), x[:, [0, 2]]])
    slope, (left,), *_ = np.linalg.lstsq(design[1:], x[1:, 1])
    exact = stats.norm.logpdf(x[0, 1], design[0] @ slope, np.sqrt(left / 199))
    assert given.x[0, 1] == pytest.approx(design[0] @ slope, rel=1e-3)
    zero, one = np.array([0]), np.array([1])
    np.testing.assert_allclose(given.log_p(zero, one, x[zero, one]), exact, rtol=1e-3)
    # 4,000 draws: six standard errors.
    cell = given.draws[:, 0, 1]
    assert cell.mean() == pytest.approx(given.x[0, 1], abs=6 * cell.std() / np.sqrt(4000))


def test_p_values_of_inliers_alone_are_judged():
    anomaly = np.arange(200) >= 100
    p_value = np.where(anomaly, 0, (np.arange(200) + 0.5) / 100)
    asked = PosedRows(Rows(np.zeros((1, 1)), np.zeros((200, 1)), clean=True), anomaly)
    found = judged_rows(asked, Scored(np.arange(200.0), p_value))
    assert found["auc"] == 1
    assert found["distance"] == pytest.approx(0.005)
    assert found["below"] == 0.05
    assert judged_rows(asked, Scored(-np.arange(200.0)))["auc"] == 0


def test_numbers_are_moved_within_their_last_place():
    assert resolution(np.array([0.25, 1.5, 3.0])) == 0.01
    assert resolution(np.array([7.0, 120.0])) == 1
    assert resolution(np.array([np.pi, np.e])) == 0
    x = np.stack([np.arange(50.0), np.arange(50) / 4, np.sqrt(np.arange(50))], axis=1)
    parts = split(x, 0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [40, 5, 5]
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    rows = rows[np.argsort(rows[:, 2])]
    assert (np.abs(rows - x).max(axis=0) <= [0.5, 0.005, 0]).all()
    assert (rows != x)[:, :2].all()


def test_the_large_table_is_low_rank_but_for_its_noise():
    x = table(2000, 30, 0)
    spectrum = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / len(x)
    # Twenty units at most lie above the noise of 0.09; what is left is white.
    assert spectrum[20:].max() < 0.09 * 1.3
    assert spectrum[4] > 0.09 * 3


@pytest.fixture
def yacht(tmp_path, monkeypatch):
    (tmp_path / "uci").mkdir()
    rows = np.random.default_rng(4).normal(size=(60, 7)).round(3)
    np.savetxt(tmp_path / "uci" / "yacht.txt", rows)
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    return tmp_path / "rows.jsonl"


@pytest.mark.slow
def test_a_race_goes_on_where_it_was_stopped(yacht, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    words = ["imputation", "--rows", str(yacht), "--settings=0.3", "--only=mean"]
    main([*words, "--problems=yacht,wdbc", "--seeds=2"])
    rows = rows_in(yacht)
    assert [(r["problem"], r["seed"]) for r in rows] == [
        ("yacht", 0), ("yacht", 1), ("wdbc", 0), ("wdbc", 1)
    ]  # fmt: skip
    assert rows[2]["status"] == f"skipped: uci/wdbc.data is not in ${data.VARIABLE}"
    # The last line was cut off, and the first was lost: those two are asked again, and no other.
    lines = yacht.read_text().splitlines()
    yacht.write_text("\n".join([lines[1], lines[2][:40]]))
    capsys.readouterr()
    main([*words, "--problems=yacht", "--seeds=2"])
    assert capsys.readouterr().err.count("\n") == 1
    again = {row["seed"]: row["rmse"] for row in rows_in(yacht)}
    assert again == {0: rows[0]["rmse"], 1: rows[1]["rmse"]}
    assert 0.8 < again[0] < 1.3
    main(["imputation", "--rows", str(yacht), "--markdown"])
    assert "| yacht | **" in capsys.readouterr().out


def row(contestant=OURS, problem="yacht", seed=0, setting="0.3", version="1", **numbers):
    return {
        "question": "imputation",
        "problem": problem,
        "setting": setting,
        "seed": seed,
        "contestant": contestant,
        "version": version,
        "status": "answered",
        "seconds": 1.0,
        **numbers,
    }


def test_the_table_pairs_seeds_and_says_where_we_lose():
    rows = [row(rmse=9.0, version="0")]  # an older version counts no more
    for seed in range(4):
        shared = [0.0, 0.3, 0.6, 0.9][seed]
        wiggle = 0.01 * (-1) ** seed
        rows += [
            row(seed=seed, rmse=0.5 + shared, coverage=0.95),
            row("kNN", seed=seed, rmse=0.6 + shared + wiggle),
            row("Gaussian", seed=seed, rmse=0.505 + shared + 2 * wiggle, coverage=0.9),
            row(problem="wdbc", seed=seed, rmse=0.5),
            row("kNN", "wdbc", seed=seed, rmse=0.4 + wiggle),
        ]
    failed = row("mean") | {"status": "failed: ValueError: a|b"}
    text = markdown(QUESTIONS["imputation"], [*rows, failed])
    assert "| yacht | **0.950 ± 0.194** | 1.050 ± 0.191 | **0.955 ± 0.189** |" in text
    assert "| yacht | +0.100 ± 0.006 | +0.005 ± 0.012 |" in text
    assert "is the best or tied on 1 of 2. On wdbc better: kNN." in text
    assert "| wdbc | -0.100 ± 0.006 | - |" in text
    assert "| yacht | 0.950 ± 0.000 | 0.900 ± 0.000 |" in text
    assert "| mean | 1 | 0 of 1 (failed: ValueError: a/b) |" in text
    assert "9.0" not in text


def test_areas_are_averaged_over_tables():
    rows = [
        row(name, problem, seed, "all", auc=auc + 0.1 * seed) | {"question": "anomalies"}
        for problem, add in (("Pima", 0.0), ("glass", 0.2))
        for seed in range(2)
        for name, auc in ((OURS, 0.5 + add), ("ECOD", 0.6 + add))
    ]
    text = markdown(QUESTIONS["anomalies"], rows)
    assert "| mean of all | 0.650 ± 0.050 | **0.750 ± 0.050** |" in text
    assert "is the best or tied on 0 of 2." in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only=tightbound,softImpute"], "got softImpute"),
        (["--problems=iris"], "got iris"),
        (["--settings=0.9"], "got 0.9"),
        (["--seeds=0"], "--seeds of at least 1"),
    ],
)
def test_wrong_options_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["imputation", "--rows=rows.jsonl", *arguments])
    assert words in capsys.readouterr().err


def test_every_contestant_has_its_file():
    folder = ROOT / "benchmarks" / "tables" / "contestants"
    shared = {"__init__", "coding", "detecting"}
    files = {path.stem for path in folder.glob("*.py")} - shared
    assert files == {contestant.module for contestant in CONTESTANTS}
    for contestant in CONTESTANTS:
        text = (folder / f"{contestant.module}.py").read_text()
        for question in contestant.questions:
            assert f"def {QUESTIONS[question].asks}(" in text


@pytest.mark.slow
def test_ours_answers_all_that_is_asked():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(120, 3)) @ rng.normal(size=(3, 3))
    asked = posed(x, 0.2, 0)
    found = judged(asked, ours.impute(asked.seen, 0))
    assert found["rmse"] < 1.5
    assert 0.5 < found["coverage"] <= 1
    assert np.isfinite([found["crps"], found["log_p_numbers"]]).all()
    rows = Rows(x[:100], np.concatenate([x[100:], x[:1] + 50]), clean=True)
    scored = ours.score(rows, 0)
    assert np.argmax(scored.score) == 20
    assert scored.p_value[20] == 1 / 21
    assert ours.log_density(Split(x[:80], x[80:100], x[100:]), 0).shape == (20,)
    assert json.loads(json.dumps(found)) == found
