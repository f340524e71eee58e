"""Filled tables: exact for normals, in the table's own types, and honest about draws."""

import numpy as np
import pytest

import tightbound as tb
from tests.tasks.test_predictive import COVARIANCES, MEANS, ROWS, conditional, mixture
from tightbound.core.errors import UsageError
from tightbound.distributions import StandardNormal

pd = pytest.importorskip("pandas", reason="pandas is not installed")


def one_normal():
    return mixture([1.0], MEANS[:1], COVARIANCES[:1])


def test_of_a_normal_means_and_intervals_are_exact():
    found = tb.impute(one_normal(), None, ROWS, draws=20_000, level=0.9, key=0)
    for number, row in enumerate(ROWS.astype(np.float64)):
        hole = np.isnan(row)
        if not hole.any():
            np.testing.assert_array_equal(found.x[number], ROWS[number])
            continue
        _, mean, left = conditional(MEANS[0], COVARIANCES[0], row)
        np.testing.assert_allclose(found.x[number][hole], mean, atol=1e-5)
        # Quantiles of 20,000 draws: a standard error of 0.015 deviations at 5 %.
        deviation = np.sqrt(np.diag(left))
        for end, side in ((found.low, -1.6449), (found.high, 1.6449)):
            np.testing.assert_allclose(
                (end[number][hole] - mean) / deviation, side, atol=4.9 * 0.015
            )
    assert not found.unsure.any()
    assert found.summary() == (
        "8 of 15 values filled, in 4 of 5 rows, with central intervals of 90 %"
    )


@pytest.mark.slow
@pytest.mark.stat
def test_intervals_cover_as_often_as_they_say():
    # 4,000 holes of a mixture: a share of 0.95 has a standard error of 0.0034.
    rng = np.random.default_rng(0)
    which = rng.random(4000) < 0.3
    factors = np.linalg.cholesky(COVARIANCES)
    noise = rng.standard_normal((4000, 3))
    truth = np.where(
        which[:, None], MEANS[0] + noise @ factors[0].T, MEANS[1] + noise @ factors[1].T
    )
    holed = truth.copy()
    holes = np.arange(4000), rng.integers(0, 3, 4000)
    holed[holes] = np.nan
    found = tb.impute(mixture(), None, holed, draws=1000, key=1)
    inside = (truth >= found.low) & (truth <= found.high)
    assert abs(np.mean(inside[holes]) - 0.95) < 4.9 * 0.0034


def frame():
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 3, 60)
    height = 150 + 10 * kind + rng.normal(0, 2, 60)
    table = pd.DataFrame(
        {
            "name": [f"row {i}" for i in range(60)],
            "kind": pd.Categorical.from_codes(kind, ["small", "middle", "tall"]),
            "height": height.round(1),
            "visits": pd.array(rng.poisson(3 + 2 * kind), "Int64"),
        },
        index=pd.Index(range(100, 160), name="id"),
    )
    table.loc[103, "kind"] = None
    table.loc[104, "height"] = np.nan
    table.loc[105, "visits"] = pd.NA
    return table


@pytest.mark.slow
def test_a_frame_comes_back_as_it_was_with_its_holes_filled():
    table = frame()
    ds = tb.data.load(table, category=["kind"], count=["visits"])
    model, posterior = tb.autoencoder(ds, likelihood="columns", latent=2, hidden=(16,), key=0)
    run = tb.fit(model, posterior, ds.train, objective="iwae(k=5)", epochs=20, progress=False)
    found = tb.impute(run.model, run.posterior, table, schema=ds.schema, draws=50, k=200)
    filled = found.table
    assert filled.dtypes.equals(table.dtypes)
    assert filled.index.equals(table.index)
    assert not filled.isna().any().any()
    known = table.notna()
    pd.testing.assert_frame_equal(filled.where(known), table.where(known))
    several = list(found.tables())
    assert len(several) == 50
    assert all(one.dtypes.equals(table.dtypes) for one in several)
    assert len({one.loc[104, "height"] for one in several}) > 10
    assert table.isna().sum().sum() == 3, "what was given is as it was"
    probs = found.predictive.level_probs[ds.schema.names.index("kind")]
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    assert filled.loc[103, "kind"] == ["small", "middle", "tall"][int(np.argmax(probs[3]))]


def test_what_does_not_go_is_refused_in_words():
    with pytest.raises(UsageError, match="with schema="):
        _ = tb.impute(mixture(), None, ROWS).table
    with pytest.raises(UsageError, match="needs draws=40 or more, got 20"):
        tb.impute(mixture(), None, ROWS, draws=20)
    ds = tb.data.load(frame(), category=["kind"], count=["visits"])
    strange = frame().astype({"kind": object})
    strange.loc[101, "kind"] = "Small"
    with pytest.raises(UsageError, match=r"column 'kind': expected a level to be one of"):
        tb.impute(mixture(), None, strange, schema=ds.schema)


def test_rows_of_few_effective_draws_are_told():
    model = tb.models.linear_gaussian(np.eye(3), np.zeros(3), 0.01)
    far = np.array([[8.0, np.nan, 8.0], [0.0, 0.1, 0.2]], np.float32)
    found = tb.impute(model, StandardNormal(3), far, k=200, adapt=False)
    assert found.unsure.tolist() == [True, False]
    assert "of 1 rows 200 draws of z are too few" in found.summary()
    adapted = tb.impute(model, StandardNormal(3), far, k=200)
    assert adapted.predictive.adapted.tolist() == [True, False]
    assert "for 1 rows the proposal of z was adapted" in adapted.summary()
