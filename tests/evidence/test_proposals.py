"""Safer proposals: densities that they claim to be, and what they do to heavy weights.

False alarms: means at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.evidence.toys import repeated, scaled
from tests.oracles.linear_gaussian import exact_parts
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.evidence import defensive, evaluate, tempered


def narrow(layers):
    return scaled(exact_parts(layers), 0.5)


@pytest.mark.stat
@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_wider_proposals_stay_unbiased_and_have_lighter_tails(layers):
    parts = narrow(layers)
    x, truth = repeated(parts, 1000)
    plain = evaluate(parts.model, parts.posterior, x, k=400)
    for proposal in (
        defensive(parts.posterior, parts.model.prior, share=0.2),
        tempered(parts.posterior, temperature=6.0),
    ):
        found = evaluate(parts.model, proposal, x, k=400)
        ratios = np.exp(np.asarray(found.log_evidence, np.float64) - truth)
        assert abs(float(z_of_mean(ratios, 1.0))) < LIMIT
        assert np.median(found.khat) < np.median(plain.khat) - 0.2
        assert found.stderr.mean() < 0.7 * plain.stderr.mean()


def test_tempering_a_normal_multiplies_its_variances():
    parts = exact_parts(1)
    x = jnp.array([0.7, -1.1, 0.4, 1.3])
    mean, sd = parts.posterior.parameters(x)
    wide = tempered(parts.posterior, temperature=4.0)
    z = jnp.array([0.2, -0.4])
    truth = stats.norm.logpdf(np.asarray(z), np.asarray(mean), 2 * np.asarray(sd)).sum()
    assert wide.log_prob(z, x) == pytest.approx(truth, abs=1e-4)
    key = jax.random.key(0)
    own = parts.posterior.sample(x, key=key)
    np.testing.assert_allclose(wide.sample(x, key=key), mean + 2 * (own - mean), rtol=1e-5)
    np.testing.assert_allclose(wide.mean(x), mean)
    assert wide.support == "real"


def test_a_mixture_is_the_mixture_of_densities():
    parts = exact_parts(1)
    x, z = jnp.array([0.7, -1.1, 0.4, 1.3]), jnp.array([0.2, -0.4])
    mixed = defensive(parts.posterior, parts.model.prior, share=0.25)
    own, safe = parts.posterior.log_prob(z, x), parts.model.prior.log_prob(z)
    truth = np.log(0.75 * np.exp(own) + 0.25 * np.exp(safe))
    assert mixed.log_prob(z, x) == pytest.approx(float(truth), abs=1e-5)
    np.testing.assert_allclose(mixed.mean(x), 0.75 * parts.posterior.mean(x), rtol=1e-5)
    assert mixed.support == "real"


def test_wrong_use_is_refused():
    parts = exact_parts(1)
    with pytest.raises(UsageError, match="share between 0 and 1"):
        defensive(parts.posterior, parts.model.prior, share=1.0)
    with pytest.raises(UsageError, match="temperature above 0"):
        tempered(parts.posterior, temperature=0.0)
    _, gamma = tb.autoencoder(np.zeros((3, 4), np.float32), latent=2, hidden=(), posterior="gamma")
    with pytest.raises(UsageError, match="on all real numbers"):
        tempered(gamma)
