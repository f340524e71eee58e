"""Prior sampling, the jackknife and HMC with a fitted density, where log p(x) is known.

False alarms: means at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import numpy as np
import pytest

import tightbound as tb
from tests.laws import runs
from tests.laws.runs import EXACT, WRONG
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.evidence import hmc_density, jackknife, prior_sampling


def simulated(layers, n):
    model = runs.parts_of(EXACT, layers).model
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(9), n))
    return model, np.asarray(x), linear_gaussian.log_evidence(model, x)


@pytest.mark.stat
@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_prior_sampling_is_unbiased(layers):
    model, x, truth = simulated(layers, 300)
    found = prior_sampling(model, x, k=100)
    ratios = np.exp(found.log_evidence - truth)
    assert abs(ratios.mean() - 1) < LIMIT * ratios.std() / np.sqrt(300)
    # Of few draws the logarithm is low by far more than it scatters.
    assert prior_sampling(model, x, k=5).log_evidence.mean() < truth.mean()
    assert found.direction == "lower"
    narrow = prior_sampling(model, x * 5, k=10)
    assert set(narrow.result) == {0, 1}
    assert "few effective draws" in narrow.summary()


@pytest.mark.stat
@pytest.mark.slow
def test_the_jackknife_takes_the_bias_off_the_same_draws():
    model, x, truth = simulated(1, 2000)
    posterior = runs.parts_of(WRONG, 1).posterior
    k, away = 12, []
    for order in (0, 1, 2):
        found = jackknife(model, posterior, x, k=k, order=order)
        error = found.log_evidence - truth
        away.append((error.mean(), error.std() / np.sqrt(len(x))))
    assert away[0][0] < -LIMIT * away[0][1]
    assert abs(away[1][0]) < 0.8 * abs(away[0][0])
    assert abs(away[2][0]) < 0.9 * abs(away[1][0])
    plain = tb.evaluate(model, posterior, x[:20], k=k)
    same = jackknife(model, posterior, x[:20], k=k, order=0)
    np.testing.assert_allclose(same.log_evidence, plain.log_evidence, atol=1e-5)
    np.testing.assert_allclose(same.stderr, plain.stderr, rtol=1e-3)
    assert (same.direction, found.direction) == ("lower", "consistent")
    assert "no bound" in found.summary()
    with pytest.raises(UsageError, match="order"):
        jackknife(model, posterior, x, k=3, order=3)


@pytest.mark.stat
@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
def test_posterior_draws_with_a_fitted_density_give_the_evidence(layers):
    model, x, truth = simulated(layers, 30)
    found = hmc_density(model, x, chains=400, transitions=40, acceptance=0.8)
    z = (found.log_evidence - truth) / found.stderr
    # Standard errors take q as given; 30 of them within six.
    assert np.abs(z).max() < 6
    assert np.abs(found.log_evidence - truth).max() < 0.2
    assert found.direction == "upper"
    assert found.draws == 200


def test_what_a_fitted_density_cannot_do_is_refused():
    x = np.zeros((3, 4), np.float32)
    model, _ = tb.autoencoder(x, latent=6, hidden=())
    with pytest.raises(UsageError, match="at most 5 latent dimensions, got 6"):
        hmc_density(model, x)
    model, _ = tb.autoencoder(x, latent=2, hidden=())
    with pytest.raises(UsageError, match="chains >= 12"):
        hmc_density(model, x, chains=3)
    model, _ = tb.autoencoder(x, latent=2, hidden=(), posterior="gamma")
    with pytest.raises(UsageError, match="prior on all real numbers"):
        hmc_density(model, x)
