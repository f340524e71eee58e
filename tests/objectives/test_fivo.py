"""The filtering bound: unbiased for p(x), IWAE without resampling, exact where that can be."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.models.test_sequence_model import VALUES, items, longer, padded, parts
from tests.oracles import state_space
from tests.ztest import LIMIT, z_of_mean

import tightbound as tb
from tightbound.core.items import Datum, values
from tightbound.distributions import AbstractSteps
from tightbound.distributions.triangular import inverse
from tightbound.models.particle_filter import particles
from tightbound.objectives import Params

STEPS, N = 5, 6
X = state_space.drawn(STEPS, N)
MODEL = state_space.model(STEPS)
KEYS = jax.random.split(jax.random.key(2), len(VALUES))


def datum(x):
    return Datum(jnp.nan_to_num(jnp.asarray(x)), jnp.asarray(~np.isnan(x)))


def single(numbers):
    return jnp.asarray(numbers, jnp.float32)


def gain_of(cov):
    spread = state_space.C @ cov @ state_space.C.T + state_space.R
    return np.linalg.solve(spread, state_space.C @ cov).T


COVARIANCES = (state_space.P, state_space.Q)
GAINS = [gain_of(cov) for cov in COVARIANCES]
FACTORS = [
    np.linalg.cholesky(cov - gain @ state_space.C @ cov)
    for cov, gain in zip(COVARIANCES, GAINS, strict=True)
]


class Optimal(AbstractSteps):
    """p(z_t|z_{t-1}, x_t) of a model of sequences without holes: the best that a step can do."""

    model: tb.Model
    steps: int = eqx.field(static=True)

    @property
    def start(self):
        return jnp.zeros(2)

    def contexts(self, given):
        return values(given), jnp.arange(self.steps) == 0

    def normal(self, before, context):
        x, first = context
        move = self.model.prior.transition.weight @ before + single(state_space.MOVE)
        mean = jnp.where(first, single(state_space.MEAN), move)
        gain, factor = (jnp.where(first, *map(single, of)) for of in (GAINS, FACTORS))
        away = x - single(state_space.C) @ mean - single(state_space.SHIFT)
        return mean + gain @ away, factor

    def sample_step(self, before, context, *, key):
        mean, factor = self.normal(before, context)
        z = mean + factor @ jax.random.normal(key, mean.shape)
        return z, self.log_prob_step(z, before, context)

    def log_prob_step(self, value, before, context):
        mean, factor = self.normal(before, context)
        white = inverse(factor) @ (value - mean)
        return jnp.sum(jax.scipy.stats.norm.logpdf(white) - jnp.log(jnp.diagonal(factor)))

    def mean_step(self, before, context):
        return self.normal(before, context)[0]


@pytest.mark.slow
def test_without_resampling_it_is_the_importance_weighted_bound_of_the_same_draws():
    @eqx.filter_jit
    def both(params, x):
        found = [
            objective.step(params, None, x, KEYS)[0]
            for objective in (tb.objectives.fivo(3, "never"), tb.objectives.iwae(3))
        ]
        return [(step.bound, jax.tree.leaves(step.grads)) for step in found]

    (bound, grads), (other, other_grads) = both(parts("st_r"), items(VALUES))
    np.testing.assert_allclose(bound, other, rtol=1e-5)
    for one, two in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_one_particle_is_the_elbo_however_often_it_is_resampled():
    @eqx.filter_jit
    def both(params, x):
        bounds = (tb.objectives.fivo(1, "always"), tb.objectives.elbo())
        return [objective.bound(params, None, x, KEYS) for objective in bounds]

    np.testing.assert_allclose(*both(parts("st_r"), items(VALUES)), rtol=1e-5)


@pytest.mark.slow
def test_further_padding_changes_neither_the_bound_nor_its_gradient():
    objective = tb.objectives.fivo(3, "ess 0.9")

    def found(steps):
        params, x = longer(parts(), steps), items(padded(VALUES, steps))
        step, _ = eqx.filter_jit(objective.step)(params, None, x, KEYS)
        return step.bound, jax.tree.leaves(step.grads)

    (bound, grads), (other, other_grads) = found(4), found(7)
    np.testing.assert_allclose(bound, other, rtol=1e-5)
    for one, two in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


@functools.partial(eqx.filter_jit)
def filtered(model, posterior, x, keys, k, share):
    return jax.vmap(lambda key: particles(model, posterior, x, key, k=k, share=share))(keys)


# 3 sequences of 20,000 filters with 4 particles: false alarms 2.9e-6.
@pytest.mark.stat
@pytest.mark.parametrize("share", [2.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_the_estimate_of_p_of_x_is_unbiased(share):
    keys = jax.random.split(jax.random.key(5), 20_000)
    for x in X[[1, 2, 5]]:
        found = filtered(MODEL, MODEL.prior, datum(x), keys, 4, share)
        ratios = np.exp(np.asarray(found.log_evidence, np.float64) - state_space.log_p(x))
        assert abs(z_of_mean(ratios, 1.0)) < LIMIT
        assert np.any(found.resampled[:, 1:])
        assert not np.any(found.resampled[:, 0])


def test_steps_under_the_optimal_proposal_are_predictions_in_closed_form():
    # The weight of a step is then p(x_t|z_{t-1}), whatever z_t is drawn.
    x = X[4]
    found = filtered(
        MODEL, Optimal(MODEL, STEPS), jnp.asarray(x), jax.random.split(jax.random.key(0), 1), 6, 2.0
    )
    found = jax.tree.map(lambda leaf: np.asarray(leaf[0]), found)
    exact = tb.evidence.kalman(MODEL, x[None]).log_steps[0]
    np.testing.assert_allclose(found.log_steps[0], exact[0], atol=1e-4)
    cov = state_space.C @ state_space.Q @ state_space.C.T + state_space.R
    for t in range(1, STEPS):
        before = found.states[t - 1][found.ancestors[t]]
        means = (before @ state_space.A.T + state_space.MOVE) @ state_space.C.T + state_space.SHIFT
        each = [stats.multivariate_normal.pdf(x[t], mean, cov) for mean in means]
        np.testing.assert_allclose(found.log_steps[t], np.log(np.mean(each)), atol=1e-4)


def test_it_is_exact_for_the_optimal_proposal_where_a_state_tells_nothing_of_the_next():
    model = eqx.tree_at(lambda m: m.prior.transition.weight, MODEL, jnp.zeros((2, 2)))
    truth = tb.evidence.kalman(model, X[4:5]).log_evidence[0]
    keys = jax.random.split(jax.random.key(1), 3)
    for share in (2.0, 0.0):
        found = filtered(model, Optimal(model, STEPS), jnp.asarray(X[4]), keys, 6, share)
        np.testing.assert_allclose(found.log_evidence, truth, atol=1e-4)


def test_a_path_is_that_of_a_particle_s_ancestors():
    keys = jax.random.split(jax.random.key(3), 1)
    found = filtered(MODEL, MODEL.prior, datum(X[5]), keys, 5, 2.0)
    found = jax.tree.map(lambda leaf: leaf[0], found)
    path, number = np.asarray(found.path(jnp.asarray(2))), 2
    for t in reversed(range(STEPS)):
        np.testing.assert_array_equal(path[t], found.states[t, number])
        number = int(found.ancestors[t, number])


def test_what_has_no_steps_or_another_number_of_them_is_refused_in_words():
    objective = tb.objectives.fivo(2)
    autoencoder = Params(*tb.autoencoder(np.eye(4, dtype=np.float32), latent=2, hidden=(2,)))
    with pytest.raises(tb.UsageError, match="needs the law of each step .* of the prior"):
        objective.check(autoencoder)
    params = parts()
    with pytest.raises(tb.UsageError, match="needs as many steps"):
        objective.check(Params(params.model, longer(params, 7).posterior))
    objective.check(params)
    for wrong in ("ess 0", "ess", "ess 1.5", "sometimes", "ess half"):
        with pytest.raises(tb.UsageError, match="'ess 0.5', 'always' or 'never'"):
            tb.objectives.fivo(2, wrong)
