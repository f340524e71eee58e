"""A learned mixture of normals as a prior, by SciPy, by its draws and by what a fit makes of it.

False alarms: means are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.distributions import FamilyPrior, MixturePrior
from tightbound.networks import MLP, Dense

KEY = jax.random.key(0)
MEAN = np.array([[-2.0, 0.5], [1.0, -1.0], [3.0, 2.0]])
LOG_SCALE = np.array([[0.1, -0.3], [-0.5, 0.4], [0.0, 0.2]])
LOGITS = np.array([0.5, -0.2, 0.0])


def mixture():
    weight = np.concatenate([MEAN, LOG_SCALE], axis=1).astype(np.float32)
    return MixturePrior(Dense(jnp.asarray(weight), jnp.zeros(4)), jnp.asarray(LOGITS, jnp.float32))


def test_its_density_is_that_of_scipy():
    z = np.random.default_rng(0).normal(size=(50, 2)) * 3
    each = scipy.stats.norm.logpdf(z[:, None], MEAN, np.exp(LOG_SCALE)).sum(axis=2)
    expected = scipy.special.logsumexp(each + scipy.special.log_softmax(LOGITS), axis=1)
    found = jax.vmap(mixture().log_prob)(jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.stat
def test_its_draws_have_its_moments():
    n, share = 40_000, scipy.special.softmax(LOGITS)
    draws = np.asarray(jax.vmap(lambda key: mixture().sample(key=key))(jax.random.split(KEY, n)))
    mean = share @ MEAN
    np.testing.assert_allclose(mixture().mean(), mean, rtol=1e-5)
    second = share @ (MEAN**2 + np.exp(2 * LOG_SCALE))
    for of, expected in ((draws, mean), (draws**2, second)):
        z = (of.mean(axis=0) - expected) / (of.std(axis=0) / np.sqrt(n))
        assert np.abs(z).max() < LIMIT


@pytest.mark.slow
@pytest.mark.stat
def test_a_fit_learns_it_and_estimators_agree(tmp_path):
    rng = np.random.default_rng(1)
    x = (rng.choice([-4.0, 4.0], size=(400, 1)) + 0.3 * rng.normal(size=(400, 2))).astype(
        np.float32
    )
    runs = [
        tb.fit(
            *tb.autoencoder(
                x, latent=1, hidden=(16,), likelihood="gaussian_scalar", prior=prior,
                decoder=MLP((), "tanh"),
            ),
            x, objective="iwae(k=8)", epochs=150, batch_size=50,
            optimizer="adam(learning_rate=0.01)", seeds=seeds,
        )
        for prior, seeds in (("normal", 1), ("mixture(components=4)", 2))
    ]  # fmt: skip
    plain, mixed = (tb.evaluate(run.model, run.posterior, x, k=2000).mean for run in runs)
    assert mixed > plain + 0.3
    one, two = (of.model.prior.components.weight for of in runs[1].replicas)
    assert not np.allclose(one, two)
    tb.save(tmp_path / "m.safetensors", runs[1])
    back = tb.load(tmp_path / "m.safetensors")
    few = x[:6]
    by = tb.evidence.annealed(back.model, few, temperatures=200, chains=64, key=3)
    draws = tb.evaluate(back.model, back.posterior, few, k=20_000)
    z = (by.log_evidence - draws.log_evidence) / np.hypot(np.maximum(by.stderr, 0.02), draws.stderr)
    assert np.abs(z).max() < LIMIT


def test_priors_are_calls():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)

    def prior(text, **options):
        return tb.autoencoder(x, latent=2, likelihood="gaussian", prior=text, **options)[0].prior

    assert prior("mixture").logits.shape == (50,)
    assert prior("mixture(components=3)", layers=2).conditionals[0].logits.shape == (3,)
    assert isinstance(prior("normal(learned=True)"), FamilyPrior)
    assert prior("normal(learned=True)").free is not None
    for text, words in (
        ("mixture(components=1)", "expected components >= 2"),
        ("mixture(3)", "the options of mixture by name"),
        ("normal(components=3)", "takes learned, but not components"),
        ("mixtura", "did you mean mixture"),
        ("bernoulli(learned=True)", "takes no options"),
        ("normal(learned=1)", "as True or False"),
    ):
        with pytest.raises(UsageError, match=words):
            prior(text)
    with pytest.raises(UsageError, match="draws of gamma are positive"):
        tb.autoencoder(x, latent=2, likelihood="gaussian", posterior="gamma", prior="dirichlet")
