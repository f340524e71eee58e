"""Tables fitted without settings: what is found, told and refused."""

import jax
import numpy as np
import pytest

import tightbound as tb
from tightbound.core.streams import as_key, stream
from tightbound.data import Schema
from tightbound.data.schema import Column
from tightbound.recipes.tables import Judged, mixtures


def two_moons(n, seed=0):
    """Points of two arcs, with a third column that says nothing."""
    rng = np.random.default_rng(seed)
    angle, which = rng.uniform(0, np.pi, n), rng.integers(0, 2, n)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x[which == 1] = [1, 0.3] - x[which == 1]
    return np.column_stack([x + 0.08 * rng.normal(size=x.shape), rng.normal(5, 3, n)])


@pytest.fixture(scope="module")
def moons():
    x = two_moons(400)
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    return x, tb.fit_table(x, candidates=("gaussian", "mixture"), key=0)


@pytest.mark.slow
def test_a_mixture_is_chosen_where_one_gaussian_is_wrong(moons):
    x, found = moons
    names = [of.name for of in found.choice.candidates]
    assert names[0].startswith("mixture(")
    assert "gaussian" in names
    assert sum(of.weight for of in found.choice.candidates) == pytest.approx(1)
    best = found.choice.candidates[0]
    gaussian = next(of for of in found.choice.candidates if of.name == "gaussian")
    assert best.difference == 0
    assert gaussian.difference + 5 * gaussian.difference_stderr < 0
    assert gaussian.log_p == pytest.approx(best.log_p + gaussian.difference, abs=1e-6)
    # What was said of held-out rows holds for new ones, within five standard errors.
    new = tb.evidence.exact(found.model, two_moons(2000, seed=9)).log_evidence
    whole = tb.fit_table(two_moons(400), candidates="mixture", key=0).choice.candidates[0]
    assert abs(np.mean(new) - whole.log_p) < 0.1 + 5 * whole.stderr
    assert "Chosen: mixture(" in found.choice.text()
    assert found.posterior is None
    assert len(x) == 400


@pytest.mark.slow
def test_the_choice_depends_on_the_key_alone(moons):
    x, found = moons
    again = tb.fit_table(x, candidates=("gaussian", "mixture"), key=0)
    assert [of.log_p for of in again.choice.candidates] == [
        of.log_p for of in found.choice.candidates
    ]
    other = tb.fit_table(x, candidates=("gaussian",), key=1)
    assert [of.name for of in other.choice.candidates] == ["gaussian"]


@pytest.mark.slow
def test_holes_are_filled_better_than_by_one_gaussian(moons):
    x, found = moons
    whole = two_moons(400)
    holes = np.isnan(x)
    one = tb.fit_table(x, candidates="gaussian", key=0)
    errors = []
    for model in (found.model, one.model):
        filled = tb.impute(model, None, x, draws=100)
        errors.append(np.sqrt(np.mean((filled.x - whole)[holes[:, :2].nonzero()] ** 2)))
        inside = (filled.low <= whole) & (whole <= filled.high)
        assert 0.85 < inside[holes].mean() <= 1
    assert errors[0] < 0.95 * errors[1]


@pytest.mark.slow
def test_levels_and_numbers_are_fitted_together():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    x = np.stack([kind, rng.normal(3.0 * kind, 0.5), rng.lognormal(kind, 0.3)], axis=1)
    schema = Schema(
        (
            Column("kind", "category", levels=("a", "b", "c")),
            Column("size", "real"),
            Column("price", "positive"),
        )
    )
    shown = x.copy()
    shown[:100, 0] = np.nan
    found = tb.fit_table(shown, schema=schema, candidates=("gaussian", "mixture"))
    assert found.choice.candidates[0].name.startswith("mixture")
    filled = tb.impute(found.model, None, shown).x
    assert np.mean(filled[:100, 0] == kind[:100]) > 0.95
    assert found.model.likelihood.support.at(2) == "positive"


@pytest.mark.slow
def test_covariances_are_as_wide_as_hidden_cells_ask_for(monkeypatch):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(150, 12)) @ rng.normal(size=(12, 12)) + 9 * rng.integers(
        0, 2, (150, 1)
    )
    truth = truth.astype(np.float32)
    x = np.where(rng.random(truth.shape) < 0.2, np.float32(np.nan), truth)
    found = {}
    for name, widenings in (("usual", mixtures.WIDENINGS), ("none", (1.0,))):
        monkeypatch.setattr(mixtures, "WIDENINGS", widenings)
        model = tb.fit_table(x, candidates="mixture", key=0).model
        whole, rest = (tb.evidence.exact(model, of).log_evidence for of in (truth, x))
        found[name] = np.sum(whole - rest) / np.isnan(x).sum()
    assert found["usual"] > found["none"] + 0.02


def test_stacking_is_the_maximum_over_shares():
    rng = np.random.default_rng(0)
    log_p = rng.normal(-3, 1, (2, 500))
    judged = Judged(a=log_p[0], b=log_p[1])
    shares = judged.stacked(["a", "b"])
    grid = np.linspace(0, 1, 1001)[:, None]
    mean = np.mean(np.log(grid * np.exp(log_p[0]) + (1 - grid) * np.exp(log_p[1])), axis=1)
    assert shares["a"] == pytest.approx(grid[np.argmax(mean), 0], abs=2e-3)


def test_wrong_use_is_refused_in_words():
    x = two_moons(50)
    for data, options, words in (
        (x[:5], {}, "expected 8 rows or more"),
        (x, {"candidates": "mixtures"}, "mixture"),
        (x, {"candidates": ()}, "got none"),
        (np.column_stack([x, np.full(50, np.nan)]), {}, "no value at all"),
        (np.column_stack([x, np.ones(50)]), {}, "one value alone"),
        (x, {"schema": Schema((Column("a", "positive"),) * 3)}, "positive"),
    ):
        with pytest.raises(tb.UsageError, match=words):
            tb.fit_table(data, **options)


@pytest.mark.slow
def test_a_deep_model_begins_as_pca_and_is_judged_by_rows_that_it_did_not_see():
    x = two_moons(300)
    found = tb.fit_table(x, candidates=("gaussian", "deep"), key=0)
    told = {of.name: of for of in found.choice.candidates}
    for name in ("deep(small)", "deep(large)"):
        assert told[name].rows == 60
        assert told[name].log_p > told["gaussian"].log_p - 0.3


def test_a_column_that_is_constant_without_the_held_out_rows_is_no_reason_to_refuse():
    x = np.random.default_rng(0).normal(size=(50, 3))
    # The first row of this order is in the first fold, by which deep models are judged.
    of_folds = stream(stream(as_key(0), "fit_table"), "tables.folds")
    x[:, 2] = np.arange(50) == jax.random.permutation(of_folds, 50)[0]
    found = tb.fit_table(x, candidates=("gaussian", "deep"), key=0)
    assert found.choice.chosen == "gaussian"
    assert [note.split(":")[0] for note in found.choice.notes] == [
        "deep(small) was left out",
        "deep(large) was left out",
    ]
    assert "the one value 0 alone" in found.choice.notes[0]
