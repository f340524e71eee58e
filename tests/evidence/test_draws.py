"""Draws of posteriors of any kind: shapes, names, and the law that they have.

False alarms: moments at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro import distributions as dist

import tightbound as tb
from tests.oracles import linear_gaussian, state_space
from tests.oracles.linear_gaussian import data, exact_parts
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.evidence import draws_to_arviz, to_arviz

PARTS = exact_parts(1)
X = data(3)


def model(y):
    mean = numpyro.sample("mean", dist.Normal(jnp.zeros(2), 1.0).to_event(1))
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    numpyro.deterministic("precision", scale**-2)
    numpyro.sample("y", dist.Normal(mean.sum(), scale), obs=y)


@pytest.mark.stat
def test_draws_have_the_law_of_q():
    z = tb.draws(PARTS.model, PARTS.posterior, X, n=7000, key=1)
    assert z.shape == (3, 7000, 2)
    q = linear_gaussian.read(PARTS.posterior)
    white = (z - (X @ q.matrix.T + q.offset)[:, None]) / np.sqrt(q.variance)
    assert np.abs(z_of_mean(np.swapaxes(white, 0, 1))).max() < LIMIT
    assert np.abs(z_of_mean(np.swapaxes(white**2, 0, 1), 1.0)).max() < LIMIT
    assert len(np.unique(z.reshape(-1, 2), axis=0)) == 21_000


def test_draws_are_those_of_the_evaluation_and_the_first_stay():
    z = tb.draws(PARTS.model, PARTS.posterior, X, n=50, key=1)
    more = tb.draws(PARTS.model, PARTS.posterior, X, n=3400, key=1)  # in two batches
    np.testing.assert_allclose(more[:, :50], z, atol=1e-5)
    tree = to_arviz(PARTS.model, PARTS.posterior, X, k=50, key=1)
    np.testing.assert_allclose(tree["proposal"]["z"].values[0], np.swapaxes(z, 0, 1), atol=1e-5)
    two = exact_parts(2)
    h_1, h_2 = tb.draws(two.model, two.posterior, X, n=5)
    assert (h_1.shape, h_2.shape) == ((3, 5, 2), (3, 5, 1))


@pytest.mark.slow
def test_draws_of_targets_and_by_site():
    target = tb.Target(lambda z: -0.5 * jnp.sum(z**2), 4)
    q = tb.posterior(target, "implicit", hidden=(8,))
    assert tb.draws(target, q, n=11).shape == (11, 4)
    named = tb.from_numpyro(model, 0.5)
    values = tb.draws(named, tb.posterior(named, "semi_implicit", hidden=(8,)), n=7)
    assert {name: of.shape for name, of in values.items()} == {
        "mean": (7, 2), "scale": (7,), "precision": (7,)
    }  # fmt: skip
    np.testing.assert_allclose(values["precision"], values["scale"] ** -2, rtol=1e-5)


def test_draws_for_arviz_without_weights():
    pytest.importorskip("xarray", reason="xarray is not installed")
    named = tb.from_numpyro(model, 0.5)
    q = tb.posterior(named, "implicit", hidden=(8,))
    group = draws_to_arviz(named, q, k=20, key=3)["posterior"]
    values = tb.draws(named, q, n=20, key=3)
    assert group["mean"].dims == ("chain", "draw", "mean_dim_0")
    for name, of in values.items():
        np.testing.assert_array_equal(group[name].values[0], of)
    assert "without weights" in group.attrs["description"]
    assert group.attrs["k"] == 20
    weighted = to_arviz(named, q, k=20, key=3)
    assert weighted["posterior"]["scale"].shape == (1, 20)
    assert weighted["sample_stats_proposal"]["log_weight"].shape == (1, 20, 1)
    target = tb.Target(lambda z: -0.5 * jnp.sum(z**2), 4)
    plain = draws_to_arviz(target, tb.posterior(target, "implicit"), k=5)["posterior"]
    assert plain["z"].dims == ("chain", "draw", "unit")
    of_data = draws_to_arviz(PARTS.model, PARTS.posterior, X, k=5)["posterior"]
    assert of_data["z"].shape == (1, 5, 3, 2)


def test_wrong_use_is_refused():
    target = tb.Target(lambda z: -0.5 * jnp.sum(z**2), 2)
    with pytest.raises(UsageError, match="expected n >= 1, got 0"):
        tb.draws(target, tb.posterior(target), n=0)
    with pytest.raises(UsageError, match="a Target has no data"):
        tb.draws(target, tb.posterior(target), X, n=1)
    with pytest.raises(UsageError, match="expected data of shape"):
        tb.draws(PARTS.model, PARTS.posterior, n=1)


def test_there_are_no_states_behind_the_end_of_a_sequence():
    model = state_space.model(5)
    x = state_space.drawn(5, 4)[:2]  # the first ends behind its third step
    z = tb.draws(model, model.prior, x, n=3)
    assert z.shape == (2, 3, 5, 2)
    ends = np.array([3, 5])
    behind = np.broadcast_to((np.arange(5) >= ends[:, None])[:, None, :, None], z.shape)
    np.testing.assert_array_equal(np.isnan(z), behind)
    codes = tb.tasks.encode(model, model.prior, x, k=4).reshape(2, 5, 2)
    np.testing.assert_array_equal(np.isnan(codes), behind[:, 0])
