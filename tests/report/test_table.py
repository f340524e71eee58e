"""The report of a table, from records that are written by hand."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tightbound.core.digests.arrays import write_arrays
from tightbound.core.digests.record import read_record, write_record
from tightbound.report import exhibit
from tightbound.report.baselines import baseline_rows, losses
from tightbound.report.choice import candidate_rows, verdict_on_deep
from tightbound.report.exhibit import Exhibit, Needless
from tightbound.report.figures import exhibits
from tightbound.report.headline import headline
from tightbound.report.imputation import imputation_rows, imputation_words
from tightbound.report.marginals import draw_marginals
from tightbound.report.page import page
from tightbound.report.pairs import (
    dependent_columns,
    draw_correlations,
    draw_pairs,
    mutual_information,
    rank_correlations,
)
from tightbound.report.records import read_records
from tightbound.report.summary import summary_lines
from tightbound.report.table import Table, TableColumn, table
from tightbound.report.theme import LIGHT
from tightbound.report.write import write_report

COLUMNS = [
    {"name": "cost $x$ <b>", "kind": "positive", "unit": "€"},
    {"name": "色", "kind": "category", "levels": ["red", "<i>", "blue"]},
    {"name": "n", "kind": "count"},
]
IMPUTATION = {
    "rows": 40,
    "rounds": 5,
    "level": 0.95,
    "columns": [
        {"place": 0, "cells": 40, "rmse": 1.0, "rmse_of_mean": 2.0, "coverage": 0.925},
        {
            "place": 1,
            "cells": 39,
            "accuracy": 0.75,
            "accuracy_of_mode": 0.5,
            "log_score": -0.7,
            "log_score_of_frequencies": -1.1,
        },
        {"place": 2, "cells": 0},
    ],
}


def _candidate(name, log_p, difference, stderr=0.2, weight=None):
    return {
        "name": name,
        "kind": "deep" if name.startswith("deep") else "mixture",
        "rows": 30,
        "log_p": log_p,
        "stderr": 0.4,
        "difference": difference,
        "difference_stderr": stderr,
        "weight": float(difference == 0) if weight is None else weight,
        "seconds": 12.0,
    }


@pytest.fixture
def table_run(full_run, rewrite):
    rng = np.random.default_rng(0)
    real = np.stack([rng.lognormal(size=50), rng.integers(0, 3, 50), rng.poisson(3, 50)], axis=1)
    real[:5, 0] = np.nan
    about = {"weights": "5e" * 32, "imputation": IMPUTATION}
    arrays = {"real": real.astype(np.float32), "sampled": real[::-1].astype(np.float32)}
    write_arrays(full_run / "table.safetensors", "table", arrays, about)
    data = read_record(full_run / "run.json", "run")["data"]
    data = {**data, "shape": [3], "schema": {"columns": COLUMNS, "dropped": {}}}
    choice = {
        "chosen": "mixture",
        "candidates": [_candidate("deep <b>", -9.0, -1.3), _candidate("mixture", -7.7, 0.0)],
        "notes": ["<note>"],
    }
    rewrite(full_run / "run.json", data=data, choice=choice)
    return full_run


def _chosen(run, chosen, *candidates):
    record = read_record(run / "run.json", "run")
    choice = {"chosen": chosen, "candidates": list(candidates)}
    write_record(run / "run.json", "run", {**record, "choice": choice})
    return verdict_on_deep(read_records(run))


def test_the_page_says_when_deep_models_lose(table_run):
    mixture, gaussian = _candidate("mixture", -7.7, 0.0), _candidate("gaussian", -9.9, -2.2)
    lost = _chosen(table_run, "mixture", mixture, _candidate("deep-2", -9.0, -1.3), gaussian)
    assert lost == (
        "The deep models lose: the best of them, deep-2, is 1.30 ± 0.20 nats a held-out row below "
        "mixture."
    )
    near = _chosen(table_run, "mixture", mixture, _candidate("deep-2", -7.9, -0.2, 0.3))
    assert near.startswith("No deep model is better")
    assert near.endswith("below mixture, which is within the error.")
    deep = _candidate("deep-2", -7.0, 0.0)
    assert _chosen(table_run, "deep-2", deep, _candidate("mixture", -7.7, -0.7, 0.1)) == (
        "A deep model wins: the best of the others, mixture, is 0.70 ± 0.10 nats a held-out row "
        "below it."
    )
    unsure = _chosen(table_run, "deep-2", deep, _candidate("mixture", -7.1, -0.1, 0.1))
    assert "not surely better: mixture is 0.10 ± 0.10" in unsure
    alone = _candidate("deep-2", -7.0, 0.0, weight=0.0)
    parts = [_candidate(name, -7.1, -0.1, 0.1, weight=0.5) for name in ("2 parts", "ppca")]
    assert _chosen(table_run, "2 parts and ppca", alone, *parts) == (
        "No deep model is chosen: the best of them, deep-2, is 0.10 ± 0.10 nats a held-out row "
        "above 2 parts alone, and not above the others together."
    )
    assert _chosen(table_run, "mixture", mixture, gaussian) == ""


def test_candidates_stand_in_a_table_best_first(table_run):
    first, second = candidate_rows(read_records(table_run))
    assert first[:4] == ["mixture (chosen)", "\N{MINUS SIGN}7.70", "0.40", ""]
    assert second[0] == "deep <b>"
    assert second[3:5] == ["\N{MINUS SIGN}1.30", "0.20"]
    text = page(read_records(table_run), [])
    assert "<td>deep &lt;b&gt;</td>" in text
    assert "judged on. &lt;note&gt;</p>" in text
    assert "<strong>The deep models lose" in text


def test_a_model_that_loses_to_a_baseline_is_said_to_in_so_many_words(
    table_run, evaluated, rewrite
):
    def against(difference, low, high):
        return {"difference": difference, "stderr": 0.2, "low": low, "high": high}

    below, above = against(-1.2, -1.6, -0.8), against(0.5, -0.1, 1.1)
    rewrite(
        evaluated,
        baselines={"a Gaussian": -19.0, "a mixture": -20.7},
        against_baselines={"a Gaussian": below, "a mixture": above},
    )
    found = headline(read_records(table_run))
    rows = {
        name: text.replace("\N{MINUS SIGN}", "-")
        for name, text in baseline_rows(found.baselines, found.unit)
    }
    assert rows["a Gaussian"] == (
        "-19.00 nats per item; the model is 1.20 lower, 95 % interval [0.80, 1.60] over the items, "
        "paired"
    )
    assert "0.50 higher, 95 % interval [-0.10, 1.10]" in rows["a mixture"]
    (loss,) = losses(found.baselines, found.unit)
    assert loss == (
        "The model loses to a Gaussian: it is 1.20 nats per item below it, 95 % interval "
        "[0.80, 1.60]."
    )
    assert loss in page(read_records(table_run), [])
    assert any(loss in line for line in summary_lines(table_run))


def test_what_no_gaussian_can_be_compared_with_is_said(table_run, evaluated, rewrite):
    rewrite(evaluated, no_baselines="'a', 'b': <no> density")
    said = "none; &#x27;a&#x27;, &#x27;b&#x27;: &lt;no&gt; density"
    assert said in page(read_records(table_run), [])
    assert "| baselines | none; 'a', 'b': <no> density |" in summary_lines(table_run)


def test_names_of_columns_are_escaped_everywhere(table_run):
    text = write_report(table_run).read_text()
    assert "cost $x$ &lt;b&gt;" in text
    assert "<b>" not in text
    assert {"marginals.png", "pairs.png"} <= {
        path.name for path in (table_run / "figures").iterdir()
    }
    assert len(text) < 3_000_000


def test_imputation_has_a_line_a_column_beside_filling_by_the_column(table_run):
    records = read_records(table_run)
    numbers, levels = imputation_rows(records)
    assert numbers == [["cost $x$ <b>", "40", "1 €", "2 €", "0.50", "92.5 %"]]
    minus = "\N{MINUS SIGN}"
    assert levels == [["色", "39", "75.0 %", "50.0 %", f"{minus}0.70", f"{minus}1.10"]]
    assert "40 test rows was hidden once, with one in 5 of" in imputation_words(records)


def test_a_table_of_another_model_is_not_shown(table_run):
    about = {"weights": "00" * 32}
    write_arrays(table_run / "table.safetensors", "table", {"real": np.ones((2, 3))}, about)
    records = read_records(table_run)
    assert table(records) is None
    assert "another model" in records.absent["table.safetensors"]
    assert "table.safetensors" in page(records, exhibits(records))


def test_a_run_without_a_posterior_leaves_out_what_needs_one(table_run, rewrite):
    rewrite(table_run / "run.json", posterior=None)
    (table_run / "units.json").unlink()
    records = read_records(table_run)
    assert "units.json" not in records.absent
    shown = exhibits(records)
    left_out = {entry.title for entry in shown if isinstance(entry, Needless)}
    assert left_out == {"Bound against k", "Active units", "Tails of the importance weights"}
    assert "needs none: log p(x) is computed as it is" in page(records, shown)


def test_more_columns_than_thirty_are_said(table_run, rewrite, monkeypatch):
    monkeypatch.setattr(exhibit, "draw_png", lambda *_, **__: b"")  # drawing is slow
    data = read_record(table_run / "run.json", "run")["data"]
    columns = [{"name": f"c{j}", "kind": "real"} for j in range(33)]
    rewrite(table_run / "run.json", data={**data, "schema": {"columns": columns}})
    rows = np.random.default_rng(0).normal(size=(20, 33))
    about = {"weights": "5e" * 32, "imputation": IMPUTATION}
    arrays = {"real": rows, "sampled": rows}
    write_arrays(table_run / "table.safetensors", "table", arrays, about)
    records = read_records(table_run)
    found = {entry.name: entry for entry in exhibits(records) if isinstance(entry, Exhibit)}
    assert "The first 30 columns are shown, 3 more are not." in found["marginals.png"].caption
    assert "The 6 of 33 columns that tell most" in found["pairs.png"].caption
    assert "correlations.png" in found
    assert "30 columns are shown, 3 more" in imputation_words(records)


def _table(real, sampled=None, **kinds):
    columns = tuple(
        TableColumn(name, kind, ("a", "b", "c") if kind == "category" else (), "")
        for name, kind in kinds.items()
    )
    return Table(columns, real, real if sampled is None else sampled)


def test_marginals_are_shares_of_real_and_of_drawn_values():
    real = np.array([[0, 1], [0, 2], [1, 2], [2, np.nan]], float)
    sampled = np.array([[0, 1], [1, 1]], float)
    found = _table(real, sampled, level="category", n="count")
    figure = Figure()
    draw_marginals(figure, LIGHT, table=found)
    levels, counts = figure.axes[:2]
    widths = [patch.get_width() for patch in levels.patches]
    assert widths == [0.5, 0.25, 0.25, 0.5, 0.5, 0.0]
    assert [text.get_text() for text in levels.get_yticklabels()] == ["a", "b", "c"]
    shares = [np.asarray(patch.get_data().values) for patch in counts.patches]
    np.testing.assert_allclose(shares, [[1 / 3, 2 / 3], [1, 0]])


def test_mutual_information_is_that_of_the_table():
    a = np.repeat(np.arange(5), 40)
    same = np.log(5) - 4 * 4 / (2 * 200)
    assert mutual_information(a, a) == pytest.approx(same)
    b = np.tile(np.arange(4), 50)
    assert mutual_information(a, b) == pytest.approx(-(4 * 3) / (2 * 200))  # exactly independent
    assert mutual_information(np.where(a > 3, -1, a), a) == pytest.approx(
        np.log(4) - 3 * 3 / (2 * 160)
    )


def test_columns_that_depend_on_each_other_are_chosen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 10))
    x[:, 7] = x[:, 1] ** 2  # without any correlation
    x[:, 4] = (x[:, 2] > 0) + 0.0
    x[:, 9] = x[:, 3] + 0.1 * x[:, 9]
    found = _table(x, **{f"c{j}": "real" for j in range(10)})
    assert dependent_columns(found) == [1, 2, 3, 4, 7, 9]
    assert dependent_columns(_table(x[:, :3], a="real", b="real", c="real")) == [0, 1, 2]


def test_rank_correlations_are_spearmans_with_ties_and_holes():
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)), 0)
    x[rng.random(x.shape) < 0.1] = np.nan
    right = stats.spearmanr(x[:, 0], x[:, 2], nan_policy="omit").statistic
    assert rank_correlations(x)[0, 2] == pytest.approx(right)
    x[:, 1] = 3
    assert np.isnan(rank_correlations(x)[0, 1])


def test_pairs_and_correlations_draw_real_rows_beside_drawn_ones():
    rng = np.random.default_rng(2)
    real, sampled = rng.normal(size=(2, 30, 3))
    found = _table(real, sampled, a="real", b="real", c="real")
    figure = Figure()
    draw_pairs(figure, LIGHT, table=found, places=[0, 1, 2])
    first = figure.axes[0]
    offsets = [dots.get_offsets() for dots in first.collections]
    np.testing.assert_allclose(offsets, [real[:, :2], sampled[:, :2]])
    figure = Figure()
    draw_correlations(figure, LIGHT, table=found, places=[0, 1, 2])
    matrices = [axes.images[0].get_array() for axes in figure.axes[:3]]
    np.testing.assert_allclose(matrices[2], rank_correlations(sampled) - rank_correlations(real))
