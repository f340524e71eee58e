"""Flows behind the features of an encoder: a density of its draws, and a posterior like any other.

False alarms: estimates are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.moved import moved
from tests.networks.test_convolutional import blobs
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.networks import MLP, Chain, Whole

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"network": "conv"}, marks=pytest.mark.slow),
        {"layers": 2, "latent": (3, 2), "hidden": ((4,), (4,))},
    ],
    ids=["conv", "layers"],
)
def test_its_density_is_that_of_its_draws(options):
    x = blobs(20)
    model, q = tb.autoencoder(x, **{"latent": 2, "hidden": (3,), **options}, posterior="flow")
    datum = jnp.asarray(x[0]).ravel()
    # It begins as the prior does.
    bottom = q.conditionals[0] if "layers" in options else q
    z = jnp.zeros(3 if "layers" in options else 2)
    standard = jnp.sum(jax.scipy.stats.norm.logpdf(z))
    np.testing.assert_allclose(bottom.log_prob(z, datum), standard, rtol=1e-5)
    q = moved(q, 0.2)
    z, log_q = q.sample_and_log_prob(datum, key=KEY)
    np.testing.assert_allclose(q.log_prob(z, datum), log_q, rtol=1e-3, atol=1e-3)
    assert q.log_prob(z, jnp.asarray(x[1]).ravel()) != log_q
    assert np.isfinite(model.log_joint(datum, z))


def test_a_flow_integrates_to_one():
    x = linear_gaussian.data(9)
    q = moved(tb.autoencoder(x, latent=1, hidden=(4,), likelihood="gaussian", posterior="flow")[1])
    grid = jnp.linspace(-12, 12, 4001)
    density = jnp.exp(jax.vmap(lambda z: q.log_prob(z[None], jnp.asarray(x[0])))(grid))
    np.testing.assert_allclose(np.trapezoid(density, grid), 1.0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.stat
def test_evidence_by_it_is_exact_and_it_comes_back(tmp_path):
    exact = linear_gaussian.exact_parts(1)
    x = linear_gaussian.data(40)
    size = exact.posterior.sample(jnp.asarray(x[0]), key=KEY).size
    of = {"latent": size, "hidden": (8,), "likelihood": "gaussian", "posterior": "flow"}
    _, q = tb.autoencoder(x, **of)
    found = tb.evaluate(exact.model, q, x[:8], k=40_000)
    again = tb.evaluate(exact.model, exact.posterior, x[:8], k=10)
    z = (found.log_evidence - again.log_evidence) / np.maximum(found.stderr, 1e-3)
    assert np.abs(z).max() < LIMIT
    run = tb.fit(*tb.autoencoder(x, **of, prior="vamp"), x, objective="elbo", epochs=3, seeds=1)
    tb.save(tmp_path / "m.safetensors", run)
    back = tb.load(tmp_path / "m.safetensors")
    one, two = (tb.evaluate(of.model, of.posterior, x[:4], k=20) for of in (run, back))
    assert np.array_equal(one.log_evidence, two.log_evidence)


def test_a_chain_is_its_networks():
    first, second = MLP.glorot(3, (4,), key=KEY), MLP.glorot(4, (2,), key=KEY)
    x = jnp.arange(3.0)
    assert np.array_equal(Chain((first, second))(x), second(first(x)))


def test_what_gives_no_features_is_refused():
    x = linear_gaussian.data(9)
    whole = Whole(MLP.glorot(x.shape[1], (4,), key=KEY))
    for options in ({"encoder": whole}, {"network": "ladder", "layers": 2}):
        with pytest.raises(UsageError, match="posterior='flow' is made of features|is for images"):
            tb.autoencoder(x, latent=2, likelihood="gaussian", posterior="flow", **options)
