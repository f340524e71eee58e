"""The runnable examples at a small size, and the prediction that one of them shows."""

import jax
import numpy as np
import pytest
from scipy import stats
from tests.examples import example

import tightbound as tb


@pytest.mark.slow
def test_three_gaussians(tmp_path, capsys):
    example("three_gaussians").main(
        ["--out", str(tmp_path), "--n", "200", "--iterations", "5", "--test", "100"]
    )
    assert "test against the truth" in capsys.readouterr().out
    assert (tmp_path / "three_gaussians.png").stat().st_size > 10_000


@pytest.mark.slow
def test_clusters(tmp_path, capsys):
    example("clusters").main(["--out", str(tmp_path), "--n", "30", "--draws", "50", "--sides", "3"])
    assert "log p(x), exact" in capsys.readouterr().out
    assert (tmp_path / "clusters.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.stat
def test_prior_sampling_misses_a_cluster_as_often_as_predicted():
    # Three exact binomial tests at 1e-6, two-sided; the draws for the sizes are shared.
    clusters = example("clusters")
    model, n, k = clusters.clusters(4), 2000, 16
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(1), n))
    keys = jax.random.split(jax.random.key(2), n)
    exact = tb.evidence.exact(model, np.asarray(x)).log_evidence
    bounds = np.asarray(tb.evidence.importance(model, model.prior, x, keys, k=50, chunk=50).bounds)
    for size, estimates in zip((1, 5, 50), bounds.T, strict=True):
        missed = int(np.sum(estimates < exact - clusters.FAR))
        assert stats.binomtest(missed, n, (1 - 1 / k) ** size).pvalue > 1e-6
        # The comparison has power: twice as many clusters would not do.
        assert stats.binomtest(missed, n, (1 - 0.5 / k) ** size).pvalue < 1e-6
    # A hit is off by log(hits K / S) and no more: no estimate lies between hit and miss.
    between = (bounds < exact[:, None] - np.log(50)) & (bounds > exact[:, None] - 100)
    assert not between.any()
