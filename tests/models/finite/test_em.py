"""EM against scikit-learn, against the gradient, and against its own promise never to fall."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from tests.models.finite import models

import tightbound as tb
from tightbound.core.errors import NonFiniteError
from tightbound.distributions import BernoulliComponents, Categorical, GaussianComponents
from tightbound.models import Model, bernoulli_mixture, finite_autoencoder, gaussian_mixture


def in_double(model, x, **options):
    """A run of EM in float64; then its weights, means and covariances on the host."""
    with jax.enable_x64(True):
        run = tb.em(models.as_type(model, jnp.float64), x, **options)
        weights, likelihood = np.asarray(run.model.prior.mean()), run.model.likelihood
        if isinstance(likelihood, GaussianComponents):
            return run, weights, *map(np.asarray, (likelihood.means, likelihood.covariances()))
        return run, weights, special.expit(np.asarray(likelihood.logits)), None


@pytest.mark.parametrize("iterations", [1, 8])
def test_gaussian_mixture_is_that_of_scikit_learn_from_the_same_start(iterations):
    x = models.gaussian_data(300).astype(np.float64)
    start = gaussian_mixture(x, components=3, key=2)
    run, weights, means, covariances = in_double(start, x, iterations=iterations)
    peer = GaussianMixture(
        3,
        tol=0,
        reg_covar=0,
        max_iter=iterations,
        init_params="random_from_data",
        random_state=0,
        weights_init=np.full(3, 1 / 3),
        means_init=np.asarray(start.likelihood.means, np.float64),
        precisions_init=np.linalg.inv(np.asarray(start.likelihood.covariances(), np.float64)),
    )
    with pytest.warns(ConvergenceWarning):
        peer.fit(x)
    # The start is known in single precision.
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(weights, peer.weights_, **tolerance)
    np.testing.assert_allclose(means, peer.means_, **tolerance)
    np.testing.assert_allclose(covariances, peer.covariances_, **tolerance)
    assert run.log_likelihood[-1] == pytest.approx(peer.score(x), abs=1e-6)
    assert len(run.log_likelihood) == iterations + 1
    assert run.log_likelihood[0] == pytest.approx(tb.evidence.exact(start, x).mean, abs=1e-5)


STARTS = {
    "gaussians": lambda: (models.gaussian_data(150), gaussian_mixture, 3, None),
    "too many gaussians": lambda: (models.gaussian_data(40), gaussian_mixture, 12, None),
    "a high floor": lambda: (models.gaussian_data(150), gaussian_mixture, 3, 0.5),
    "pixels": lambda: (models.binary_data(60), bernoulli_mixture, 4, None),
    "pixels, a high floor": lambda: (models.binary_data(60), bernoulli_mixture, 10, 0.1),
}


@pytest.mark.parametrize("name", STARTS)
def test_no_iteration_lowers_the_likelihood(name):
    x, make, components, floor = STARTS[name]()
    start = make(x, components=components, key=0)
    run, _, p, covariances = in_double(start, x, iterations=60, floor=floor)
    assert np.diff(run.log_likelihood).min() > -1e-10
    assert run.log_likelihood[-1] > run.log_likelihood[0] + 0.05
    if covariances is not None:
        least = np.linalg.eigvalsh(covariances).min()
        assert least > 0.999 * run.floor
        assert (least < 1.001 * run.floor) == (name != "gaussians")
    else:
        assert p.min() > 0.999 * run.floor
        assert p.min() < 1.001 * run.floor
    single = tb.em(start, x, iterations=60, floor=floor)
    assert np.diff(single.log_likelihood).min() > -2e-5


def test_bernoulli_mixture_is_em_written_out():
    x, start = models.binary_data(60), models.pixel_mixture()
    weights = special.softmax(np.asarray(start.prior.logits, np.float64))
    p = special.expit(np.asarray(start.likelihood.logits, np.float64))
    for _ in range(3):
        joint = np.log(weights) + x @ np.log(p).T + (1 - x) @ np.log1p(-p).T
        r = special.softmax(joint, axis=1)
        weights, p = r.mean(axis=0), r.T @ x / r.sum(axis=0)[:, None]
    _, our_weights, our_p, _ = in_double(start, x, iterations=3)
    np.testing.assert_allclose(our_weights, weights, rtol=1e-6)
    np.testing.assert_allclose(our_p, p, rtol=1e-6)


@pytest.mark.slow
def test_gradient_and_em_reach_the_same_optimum():
    x = models.gaussian_data(300)
    start = gaussian_mixture(x, components=3, key=0)
    by_em = tb.em(start, x, iterations=100)
    run = tb.fit(
        start,
        None,
        x,
        objective=tb.objectives.exact(),
        optimizer=optax.adam(optax.cosine_decay_schedule(0.05, 300)),
        batch_size=300,
        epochs=300,
    )
    reached = tb.evidence.exact(run.model, x).mean
    assert reached == pytest.approx(by_em.log_likelihood[-1], abs=1e-4)
    pairs = [
        (m.prior.mean(), m.likelihood.means, m.likelihood.covariances())
        for m in (run.model, by_em.model)
    ]
    for one, other in zip(*pairs, strict=True):
        np.testing.assert_allclose(one, other, atol=0.01)
    # And both are better on these data than the mixture that they come from.
    assert reached > tb.evidence.exact(models.three_gaussians(), x).mean


@pytest.mark.slow
@pytest.mark.parametrize("holes", [False, True])
def test_shrinkage_maximises_the_penalised_likelihood(holes):
    # Few data for each component: without shrinkage two of the covariances reach the floor.
    x = models.gaussian_data(40).astype(np.float64)
    start = gaussian_mixture(x, components=8, key=0)
    x = holed(x) if holes else x
    (n, d), counts = x.shape, 5.0
    scatter = np.asarray(start.likelihood.covariances(), np.float64).mean(axis=0)

    def penalty(covariances):
        inner = np.linalg.slogdet(covariances)[1] + np.trace(
            np.linalg.solve(covariances, np.repeat(scatter[None], 8, 0)), axis1=1, axis2=2
        )
        return counts / 2 * inner.sum() / n

    penalised = []
    for iterations in (1, 2, 3, 10, 30, 400):
        run, weights, means, covariances = in_double(
            start, x, iterations=iterations, shrinkage=counts
        )
        penalised.append(run.log_likelihood[-1] - penalty(covariances))
    assert np.diff(penalised).min() > -1e-10
    least = np.linalg.eigvalsh(covariances).min()
    assert least > 1e-3 * np.linalg.eigvalsh(scatter).min() > run.floor
    # At the end nothing climbs any further, in whichever direction.

    def log_p(means, covariances):
        each = np.zeros((n, 8))
        for row, k in np.ndindex(n, 8):
            known = ~np.isnan(x[row])
            block = covariances[k][np.ix_(known, known)]
            away = x[row][known] - means[k][known]
            each[row, k] = away @ np.linalg.solve(block, away)
            each[row, k] += np.linalg.slogdet(2 * np.pi * block)[1]
        return np.mean(special.logsumexp(np.log(weights) - each / 2, axis=1))

    best = log_p(means, covariances) - penalty(covariances)
    rng = np.random.default_rng(0)
    for _ in range(5):
        shift, turn = 1e-3 * rng.standard_normal(means.shape), 1e-3 * rng.standard_normal((8, d, d))
        for sign in (1, -1):
            square = np.eye(d) + sign * turn
            moved = square @ covariances @ np.swapaxes(square, 1, 2)
            there = log_p(means + sign * shift, moved) - penalty(moved)
            assert best - 1e-3 < there < best


def test_a_component_without_data_stays_where_it_was():
    x = models.gaussian_data(100)
    model = models.three_gaussians()
    far = model.likelihood.means.at[2].set(1e6)
    model = Model(
        model.prior,
        GaussianComponents(far, model.likelihood.log_diagonal, model.likelihood.below),
    )
    run = tb.em(model, x, iterations=5)
    np.testing.assert_array_equal(run.model.likelihood.means[2], far[2])
    assert run.model.prior.mean()[2] < 1e-30
    assert np.isfinite(tb.evidence.exact(run.model, x).log_evidence).all()
    assert np.diff(run.log_likelihood).min() > -2e-5


@pytest.mark.slow
def test_a_run_of_em_is_saved_and_loaded(tmp_path):
    x = models.gaussian_data(50)
    by_em = tb.em(gaussian_mixture(x, components=2), x, iterations=4)
    tb.save(tmp_path / "run.safetensors", by_em.as_run())
    loaded = tb.load(tmp_path / "run.safetensors")
    assert loaded.posterior is None
    assert (loaded.epochs_run, len(loaded.history)) == (4, 4)
    np.testing.assert_array_equal(np.ravel(loaded.history.train_bound), by_em.log_likelihood[1:])
    for a, b in zip(jax.tree.leaves(loaded.model), jax.tree.leaves(by_em.model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert tb.evidence.exact(loaded.model, x).mean == pytest.approx(
        by_em.log_likelihood[-1], abs=1e-5
    )


def test_one_component_is_the_mean_and_the_covariance():
    x = models.gaussian_data(100)
    run = tb.em(gaussian_mixture(x, components=1), x, iterations=1)
    np.testing.assert_allclose(run.model.likelihood.means[0], x.mean(axis=0), rtol=1e-4)
    covariance = np.cov(x.T.astype(np.float64), ddof=0)
    np.testing.assert_allclose(run.model.likelihood.covariances()[0], covariance, rtol=1e-4)


def test_wrong_use_is_refused_in_words():
    x, binary = models.gaussian_data(20), models.binary_data(20)
    mixture = gaussian_mixture(x, components=2)
    for model, data, options, words in (
        (finite_autoencoder(binary, latent=2), binary, {}, "got BernoulliPrior with Bernoulli"),
        (mixture, binary, {}, "expected 2 columns, .* got 6"),
        (mixture, x, {"iterations": 0}, "iterations >= 1, got 0"),
        (mixture, x, {"floor": 0.0}, "floor between 0 and inf, got 0.0"),
        (mixture, np.ones((4, 2), np.float32), {}, "some spread"),
        (bernoulli_mixture(binary, components=2), binary, {"floor": 0.5}, "between 0 and 0.5"),
        (bernoulli_mixture(binary, components=2), binary / 2, {}, "expected 0 or 1"),
    ):
        with pytest.raises(tb.UsageError, match=words):
            tb.em(model, data, **options)


def test_numbers_that_are_not_finite_are_an_error():
    x = models.gaussian_data(20)
    broken = Model(
        Categorical(jnp.array([0.0, jnp.nan])), gaussian_mixture(x, components=2).likelihood
    )
    with pytest.raises(NonFiniteError, match="not finite after 0 iterations"):
        tb.em(broken, x, iterations=2)


@pytest.mark.slow
def test_memory_is_bounded_by_batches_of_data(monkeypatch):
    from tightbound.models import finite

    x = models.binary_data(23)
    start = Model(
        Categorical(jnp.zeros(3)), BernoulliComponents(models.pixel_mixture().likelihood.logits)
    )
    whole = tb.em(start, x, iterations=3)
    monkeypatch.setattr(finite, "ENTRIES", 3 * 6 * 5)
    jax.clear_caches()
    parts = tb.em(start, x, iterations=3)
    np.testing.assert_allclose(parts.log_likelihood, whole.log_likelihood, rtol=1e-6)


def holed(x, seed=0):
    """The data without some of their values, and with a row of which nothing is known."""
    x = np.array(x, np.float32)
    x[np.random.default_rng(seed).random(x.shape) < 0.3] = np.nan
    x[3] = np.nan
    return x


def test_a_normal_of_data_with_holes_is_that_of_little_and_rubin():
    # Section 11.2, row by row in NumPy; 25 iterations from the same start.
    x = holed(models.gaussian_data(60))
    mean, cov = np.zeros(x.shape[1]), np.eye(x.shape[1])
    start = Model(
        Categorical(jnp.zeros(1)),
        GaussianComponents.from_covariances(
            jnp.asarray(mean[None], jnp.float32), jnp.asarray(cov[None], jnp.float32)
        ),
    )
    for _ in range(25):
        filled, extra = [], np.zeros_like(cov)
        for row in np.asarray(x, np.float64):
            o, m = ~np.isnan(row), np.isnan(row)
            gain = cov[np.ix_(m, o)] @ np.linalg.inv(cov[np.ix_(o, o)])
            whole = row.copy()
            whole[m] = mean[m] + gain @ (row[o] - mean[o])
            extra[np.ix_(m, m)] += cov[np.ix_(m, m)] - gain @ cov[np.ix_(o, m)]
            filled.append(whole)
        mean = np.mean(filled, axis=0)
        away = np.array(filled) - mean
        cov = (away.T @ away + extra) / len(x)
    _, _, means, covariances = in_double(start, x, iterations=25)
    np.testing.assert_allclose(means[0], mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(covariances[0], cov, rtol=1e-9, atol=1e-9)


HOLED = {
    "gaussians": (models.gaussian_data(150), gaussian_mixture),
    "pixels": (models.binary_data(60), bernoulli_mixture),
}


@pytest.mark.parametrize("name", HOLED)
def test_with_holes_no_iteration_lowers_the_likelihood_of_what_is_there(name):
    whole, make = HOLED[name]
    x = holed(whole)
    run, *_ = in_double(make(whole, components=3, key=0), x, iterations=400)
    assert np.all(np.diff(run.log_likelihood) > -1e-10)
    fitted = models.as_type(run.model, jnp.float32)
    assert run.log_likelihood[-1] == pytest.approx(tb.evidence.exact(fitted, x).mean, abs=1e-4)
    # What is found is a maximum, or a bound: the gradient's own optimiser climbs no further.
    climbed = tb.fit(
        fitted,
        None,
        x,
        objective="exact",
        optimizer="adam(learning_rate=1e-3)",
        batch_size=len(x),
        epochs=100,
    )
    reached = tb.evidence.exact(climbed.model, x).mean
    assert reached - run.log_likelihood[-1] < 0.02


def test_pixels_with_holes_are_as_frequent_as_among_those_that_are_known():
    x = holed(models.binary_data(60))
    start = bernoulli_mixture(models.binary_data(60), components=1)
    run = tb.em(start, x, iterations=1, floor=1e-6)
    p = jax.nn.sigmoid(run.model.likelihood.logits[0])
    np.testing.assert_allclose(p, np.clip(np.nanmean(x, axis=0), 1e-6, 1 - 1e-6), rtol=1e-4)


def test_a_column_without_any_value_is_refused():
    x = holed(models.gaussian_data(60))
    start = gaussian_mixture(np.nan_to_num(x), components=2)
    x[:, 1] = np.nan
    with pytest.raises(tb.UsageError, match=r"column 1 \(counted from 0\) has no value at all"):
        tb.em(start, x)
