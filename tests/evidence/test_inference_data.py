"""The export to ArviZ: sizes, labels, log-weights, and whether its posterior is the posterior."""

import builtins
import inspect

import numpy as np
import pytest
from scipy import special

import tightbound as tb
from tests.evidence.toys import scaled
from tests.oracles import linear_gaussian
from tests.oracles.linear_gaussian import data, exact_parts
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.evidence import to_arviz

pytest.importorskip("xarray", reason="xarray is not installed")
N, K = 40, 2500
X = data(N)
PARTS = scaled(exact_parts(1), 1.4, shift=0.2)
unchecked = inspect.unwrap(to_arviz)


@pytest.fixture(scope="module")
def tree():
    return to_arviz(PARTS.model, PARTS.posterior, X, k=K, key=3, batch_size=N)


@pytest.fixture(scope="module")
def ev():
    return tb.evaluate(PARTS.model, PARTS.posterior, X, k=K, key=3)


def test_groups_sizes_and_labels(tree):
    assert set(tree.children) == {
        "posterior", "proposal", "sample_stats_proposal", "observed_data",
    }  # fmt: skip
    for group in ("posterior", "proposal"):
        assert tree[group]["z"].dims == ("chain", "draw", "datum", "unit")
        assert tree[group]["z"].shape == (1, K, N, 2)
    for name in ("log_weight", "log_joint", "log_q"):
        column = tree["sample_stats_proposal"][name]
        assert column.dims == ("chain", "draw", "datum")
        assert column.shape == (1, K, N)
        assert column.attrs["units"] == "nats"
    np.testing.assert_array_equal(tree["observed_data"]["x"], X)
    for name, of in tree.children.items():
        assert of.attrs["k"] == K
        assert of.attrs["units"] == "nats"
        assert of.attrs["binarisation"] == "none (values as they are)"
        assert of.attrs["inference_library"] == "tightbound"
        assert of.attrs["inference_library_version"] == tb.__version__
        assert of.attrs["description"], name
    assert "in proportion to their importance" in tree["posterior"].attrs["description"]
    assert tree.attrs["key"] == "[0, 3]"


def test_log_weights_are_those_of_the_evaluation_in_other_batches(tree, ev):
    stats = tree["sample_stats_proposal"]
    log_w = stats["log_weight"].values[0].T.astype(np.float64)
    parts = stats["log_joint"] - stats["log_q"]
    np.testing.assert_allclose(log_w, parts.values[0].T, atol=1e-5)
    log_z = special.logsumexp(log_w, axis=1) - np.log(K)
    np.testing.assert_allclose(log_z, ev.log_evidence, atol=1e-5)
    q = linear_gaussian.read(PARTS.posterior)
    away = tree["proposal"]["z"].values[0] - (X @ q.matrix.T + q.offset)
    expected = linear_gaussian.log_normal(away.reshape(-1, 2), np.diag(q.variance))
    np.testing.assert_allclose(stats["log_q"].values.ravel(), expected, atol=1e-4)


def test_khat_of_arviz_is_ours(tree, ev):
    # At k = 2500 both take the same tail: ArviZ rounds its length down, we round up.
    stats = pytest.importorskip("arviz_stats.base").array_stats
    log_w = tree["sample_stats_proposal"]["log_weight"].values[0].T.astype(np.float64)
    expected = [float(stats.psislw(-row)[1]) for row in log_w]
    np.testing.assert_allclose(ev.khat, expected, atol=1e-3)


@pytest.mark.stat
def test_resampled_draws_have_the_moments_of_the_posterior(tree):
    # Over 40 independent data: the mean of 2,500 draws, and of their squares, less the exact one.
    joint = linear_gaussian.joint(PARTS.model)
    of_z = linear_gaussian.conditional(joint, joint.blocks[0], joint.blocks[-1])
    white = tree["posterior"]["z"].values[0] - (X @ of_z[0].T + of_z[1])
    white = white / np.sqrt(np.diag(of_z[2]))
    means, squares = white.mean(axis=0), (white**2).mean(axis=0)
    assert np.all(np.abs(z_of_mean(means)) < LIMIT)
    assert np.all(np.abs(z_of_mean(squares, 1.0)) < LIMIT)
    # Spread of each mean: at least that of 2,500 independent draws, at most twice.
    assert np.all(means.std(axis=0) * np.sqrt(K) > 1 - LIMIT / np.sqrt(2 * N))
    assert np.all(means.std(axis=0) * np.sqrt(K) < 2)
    proposed = tree["proposal"]["z"].values[0] - (X @ of_z[0].T + of_z[1])
    assert np.all(np.abs(z_of_mean(proposed.mean(axis=0))) > LIMIT)


def test_posterior_draws_are_among_those_proposed(tree):
    # To the last place but one, in which the compiler's ways to them differ; of other draws two
    # in a thousand would come as near.
    one, other = (tree[group]["z"].values[0, :, 0, 0] for group in ("posterior", "proposal"))
    assert np.abs(one[:, None] - other[None]).min(axis=1).max() < 1e-6
    assert len(np.unique(one)) < len(np.unique(other))


def test_several_layers_are_several_variables():
    parts = exact_parts(2)
    tree = to_arviz(parts.model, parts.posterior, X[:5], k=20, batch_size=2)
    assert tree["posterior"]["h_1"].shape == (1, 20, 5, 2)
    assert tree["posterior"]["h_2"].shape == (1, 20, 5, 1)
    assert tree["proposal"]["h_2"].dims == ("chain", "draw", "datum", "h_2_unit")
    exact = linear_gaussian.log_evidence(parts.model, X[:5])
    log_w = tree["sample_stats_proposal"]["log_weight"].values[0]
    np.testing.assert_allclose(log_w, np.tile(exact, (20, 1)), atol=1e-4)


def test_what_cannot_be_exported_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="expected a posterior, got NoneType"):
        unchecked(PARTS.model, None, X)
    with pytest.raises(UsageError, match="expected k >= 1, got 0"):
        to_arviz(PARTS.model, PARTS.posterior, X, k=0)
    real = builtins.__import__

    def absent(name, *rest):
        if name == "xarray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r'pip install "tightbound\[arviz\]"'):
        to_arviz(PARTS.model, PARTS.posterior, X)
