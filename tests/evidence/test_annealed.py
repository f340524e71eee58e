"""Annealed importance sampling, forwards and backwards, on models whose evidence is known.

False alarms: each mean is compared at 4.9 standard errors (below 1e-6 a number, about 30 numbers)
and each distribution by a Kolmogorov-Smirnov test at 1e-5; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.laws import runs
from tests.laws.runs import EXACT, WRONG
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.core.streams import item_keys, stream
from tightbound.evidence import annealed, reverse_annealed, sandwich
from tightbound.evidence.annealing.ais import problem_of
from tightbound.mcmc import Path, backward, forward, tuned, untuned
from tightbound.models.weights import split_each

CHAINS = 20_000


def keys(n, chains, seed=0):
    return split_each(item_keys(jax.random.key(seed), jnp.arange(n)), chains)


def start_of(name, layers):
    return None if name == "prior" else runs.parts_of(WRONG, layers).posterior


@pytest.mark.stat
@pytest.mark.parametrize(
    ("start", "schedule", "layers"),
    [
        ("prior", "sigmoid", 1),
        pytest.param("prior", "adaptive", 1, marks=pytest.mark.slow),
        pytest.param("q", "linear", 1, marks=pytest.mark.slow),
        pytest.param("prior", "sigmoid", 2, marks=pytest.mark.slow),
        pytest.param("q", "adaptive", 2, marks=pytest.mark.slow),
    ],
)
def test_weights_are_unbiased_forwards_and_backwards(start, schedule, layers):
    parts, (x, _) = runs.parts_of(EXACT, layers), runs.batch(3)
    problem = problem_of(parts.model, start_of(start, layers))
    truth = jnp.asarray(linear_gaussian.log_evidence(parts.model, x), jnp.float32)
    path = jax.jit(
        lambda path: tuned(
            problem,
            path,
            x,
            keys(3, 50, 1),
            leapfrog=2,
            acceptance=0.6,
            adaptive=schedule == "adaptive",
        )
    )(untuned(schedule, 4, 6))  # two of the places are filling
    assert (path.betas[0], *path.betas[4:]) == (0, 1, 1, 1)
    assert np.all(np.diff(path.betas[:5]) > 0)

    @jax.jit
    def there(keys):
        return forward(problem, path, x, keys, leapfrog=2).log_w

    ratios = np.exp(np.asarray(there(keys(3, CHAINS, 2)) - truth[:, None], np.float64))
    assert ratios.std() > 0.01
    assert np.abs(z_of_mean(ratios.T, 1.0)).max() < LIMIT
    # Each chain of its own exact draw: the posterior of these models is known.
    draws = jax.vmap(lambda key: parts.posterior.sample(x[0], key=key))(
        jax.random.split(jax.random.key(3), CHAINS)
    )

    @jax.jit
    def back(draws, keys):
        same = jnp.repeat(x[:1], CHAINS, axis=0)
        own = jax.tree.map(lambda of: of[:, None], draws)
        return backward(problem, path, same, own, keys, leapfrog=2).log_w[:, 0]

    ratios = np.exp(np.asarray(back(draws, keys(CHAINS, 1, 4)) + truth[0], np.float64))
    assert ratios.std() > 0.01
    assert abs(float(z_of_mean(ratios, 1.0))) < LIMIT


def test_one_temperature_from_the_prior_is_likelihood_weighting():
    parts, (x, _) = runs.parts_of(EXACT, 1), runs.batch(2)
    path = Path(jnp.array([0.0, 1.0]), jnp.array([0.1]), 1)
    passed = forward(problem_of(parts.model, None), path, x, keys(2, 5), leapfrog=1)
    at = jax.vmap(jax.vmap(lambda key: stream(key, "annealing.start")))(keys(2, 5))
    z = jax.vmap(jax.vmap(lambda key: parts.model.prior.sample(None, key=key)))(at)
    weights = jax.vmap(jax.vmap(parts.model.likelihood.log_prob, in_axes=(None, 0)))(x, z)
    np.testing.assert_allclose(passed.log_w, weights, rtol=1e-5)


@pytest.mark.stat
@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
def test_the_sandwich_holds_the_truth(layers):
    model = runs.parts_of(EXACT, layers).model
    both = sandwich(model, n=200, temperatures=100, chains=8, leapfrog=5, key=1)
    truth = linear_gaussian.log_evidence(model, both.x)
    error = (both.upper.log_evidence - both.lower.log_evidence).std() / np.sqrt(200)
    assert -5 * error < both.gap < 0.1
    for bound, sign in ((both.lower, 1), (both.upper, -1)):
        away = sign * (truth - bound.log_evidence)
        assert -5 * away.std() / np.sqrt(200) < away.mean() < 0.05
        assert np.mean(bound.result == 0) > 0.9
    assert (both.lower.direction, both.upper.direction) == ("lower", "upper")
    assert "gap" in both.summary()
    # From the exact posterior there is nothing to anneal, and no error.
    exact = sandwich(model, runs.parts_of(EXACT, layers).posterior, n=5, temperatures=3, chains=2)
    truth = linear_gaussian.log_evidence(model, exact.x)
    np.testing.assert_allclose(exact.lower.log_evidence, truth, atol=1e-4)
    np.testing.assert_allclose(exact.upper.log_evidence, truth, atol=1e-4)


@pytest.mark.slow
@pytest.mark.stat
def test_standard_errors_are_calibrated_and_temperatures_pay():
    model = runs.parts_of(EXACT, 1).model
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(5), 300))
    x = np.asarray(x)
    truth = linear_gaussian.log_evidence(model, x)
    found = annealed(model, x, temperatures=20, chains=200, leapfrog=5)
    z = (found.log_evidence - truth) / found.stderr
    assert stats.kstest(z, stats.norm.cdf).pvalue > 1e-5
    assert np.mean(found.diagnostics["acceptance"]) == pytest.approx(0.65, abs=0.1)
    fewer = annealed(model, x[:100], temperatures=3, chains=16, leapfrog=5)
    more = annealed(model, x[:100], temperatures=30, chains=16, leapfrog=5)
    assert more.stderr.mean() < 0.5 * fewer.stderr.mean()
    assert more.ess.mean() > fewer.ess.mean()


@pytest.mark.slow
def test_neither_batches_nor_other_data_change_a_result():
    model, x = runs.parts_of(EXACT, 1).model, np.asarray(runs.batch(7)[0])
    options = {"temperatures": 5, "chains": 3, "leapfrog": 2, "pilot": 2}
    whole = annealed(model, x, **options)
    np.testing.assert_allclose(
        annealed(model, x, batch_size=3, **options).log_evidence, whole.log_evidence, atol=1e-4
    )
    some = annealed(model, x[:4], **options)
    np.testing.assert_allclose(some.log_evidence, whole.log_evidence[:4], atol=1e-4)
    assert whole.log_evidence.shape == whole.stderr.shape == whole.ess.shape == (7,)
    assert annealed(model, x, key=1, **options).mean != whole.mean
    assert (whole.betas.shape, whole.step_sizes.shape) == ((6,), (5,))
    assert {len(of) for of in whole.diagnostics.values()} == {7}
    assert whole.acceptance is whole.diagnostics["acceptance"]


@pytest.mark.slow
def test_pixels_are_binarised_as_by_evaluate():
    x = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    model, posterior = tb.autoencoder(x, latent=2, hidden=(5,))
    ev = tb.evaluate(model, posterior, x, k=4000, key=3)
    ais = annealed(model, x, temperatures=50, chains=50, leapfrog=3, key=3)
    assert ais.binarisation == ev.binarisation
    error = np.hypot(ev.stderr, ais.stderr)
    assert np.all(np.abs(ev.log_evidence - ais.log_evidence) < 6 * error)
    assert "stochastic lower bound" in ais.summary()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperatures": 0}, "temperatures >= 1"),
        ({"chains": 0}, "chains >= 1"),
        ({"schedule": "cosine"}, "expected a schedule out of sigmoid"),
        ({"acceptance": 0.0}, "acceptance between 0 and 1"),
        ({"batch_size": 0}, "batch_size >= 1"),
    ],
)
def test_wrong_use_is_refused(options, message):
    model, x = runs.parts_of(EXACT, 1).model, np.asarray(runs.batch(2)[0])
    with pytest.raises(UsageError, match=message):
        annealed(model, x, **options)


def test_what_cannot_be_annealed_is_refused():
    x = np.zeros((3, 4), np.float32)
    model, posterior = tb.autoencoder(x, latent=2, hidden=(), posterior="gamma")
    with pytest.raises(UsageError, match="prior on all real numbers"):
        annealed(model, x)
    normal, _ = tb.autoencoder(x, latent=2, hidden=())
    with pytest.raises(UsageError, match="start on all real numbers, got Conditional"):
        annealed(normal, x, start=posterior)
    with pytest.raises(UsageError, match="expected 3 exact draws"):
        reverse_annealed(normal, x, np.zeros((2, 2), np.float32))
