"""Means of gradient estimators over many independent keys.

False alarms: about 700 different numbers are compared with a limit of 4.9 standard errors, hence a
chance below 7e-4 that correct code fails for a new set of keys; the keys are fixed.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from tests import once
from tests.cases import CASES, K
from tests.laws import runs
from tests.laws.runs import NAMES, WRONG, two_layers_slow
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT, paired_z, z_of_mean
from tightbound.gradients import DoublyReparameterized, SingleSample
from tightbound.models.weights import split_each
from tightbound.objectives import Step, iwae

REPLICAS = 2**15
pytestmark = pytest.mark.stat


def flat(grads):
    return {part: ravel_pytree(getattr(grads, part))[0] for part in ("model", "posterior")}


def steps_of(objectives):
    return {name: functools.partial(once.step, o) for name, o in objectives.items()}


def gradients_of(steps, layers):
    """Gradients of each step for each key, one row per replica, by part; one datum."""
    parts = runs.parts_of(WRONG, layers)
    x, _ = runs.batch(1)

    def one(key):
        return {name: flat(step(parts, x, key[None]).grads) for name, step in steps.items()}

    keys = jax.random.split(jax.random.key(100), REPLICAS)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(one), compiler_options=runs.QUICK)(keys))


@functools.cache
def of_cases(layers):
    objectives = {name: CASES[name].objective for name in runs.names(layers)}
    return gradients_of(steps_of(objectives), layers)


def total_derivative(name, layers):
    """What a case's gradient has the mean of, on the same draws; finite differences confirm it."""
    case = CASES[name]
    model = case.reference or name
    posterior = case.posterior_reference or model
    of = of_cases(layers)
    return {"model": of[model]["model"], "posterior": of[posterior]["posterior"]}


@pytest.mark.parametrize(("name", "layers"), two_layers_slow(NAMES))
def test_cases_are_unbiased_or_biased_as_they_say(name, layers):
    reference = total_derivative(name, layers)
    for part in ("model", "posterior"):
        z = np.abs(paired_z(of_cases(layers)[name][part], reference[part]))
        if part == "model" or CASES[name].unbiased:
            assert z.max() < LIMIT
        else:
            assert z.max() > 10


@pytest.mark.parametrize(
    ("name", "layers"), two_layers_slow([(n, at) for n, at in NAMES if not CASES[n].at_random])
)
def test_the_model_part_is_that_of_the_total_derivative_draw_by_draw(name, layers):
    reference = total_derivative(name, layers)["model"]
    scale = np.abs(reference).max(axis=0)
    assert scale.min() > 0
    assert np.abs((of_cases(layers)[name]["model"] - reference) / scale).max() < 1e-5


@pytest.mark.parametrize("name", [n for n in runs.names(1) if CASES[n].name == "elbo"])
def test_elbo_gradients_have_the_exact_mean(name):
    parts = runs.parts_of(WRONG, 1)
    x, _ = runs.batch(1)
    truth = flat(eqx.filter_grad(lambda p: -linear_gaussian.exact_elbo(p, x[0]))(parts))
    for part, unknown in (("model", 8), ("posterior", 0)):
        # The closed form leaves the weights of p's constant scale out: their truth is unknown.
        known = truth[part] != 0
        assert np.sum(~known) == unknown
        z = z_of_mean(of_cases(1)[name][part][:, known], truth[part][known])
        assert np.abs(z).max() < LIMIT


@functools.cache
def of_size(layers, k):
    estimators = {
        "total": "reparameterized",
        "dreg": "dreg",
        "stl": "stl",
        "single": "single_sample",
        "dreg@4": SingleSample(DoublyReparameterized(), draws=4),
    }
    return gradients_of(steps_of({name: iwae(k, g) for name, g in estimators.items()}), layers)


# k = 5 is among the cases.
@pytest.mark.parametrize("estimator", ["dreg", "single", "dreg@4"])
@pytest.mark.parametrize(
    ("layers", "k"),
    [(1, 1), *(pytest.param(*at, marks=pytest.mark.slow) for at in ((1, 50), (2, 1)))],
)
def test_iwae_gradients_are_unbiased(layers, k, estimator):
    gradients = of_size(layers, k)
    for part in ("model", "posterior"):
        assert np.abs(paired_z(gradients[estimator][part], gradients["total"][part])).max() < LIMIT


@pytest.mark.parametrize(
    ("layers", "k"),
    [(1, 1), *(pytest.param(*at, marks=pytest.mark.slow) for at in ((1, 50), (2, 1)))],
)
def test_sticking_the_landing_is_unbiased_for_one_draw_alone(layers, k):
    gradients = of_size(layers, k)
    z = np.abs(paired_z(gradients["stl"]["posterior"], gradients["total"]["posterior"]))
    assert z.max() < LIMIT if k == 1 else z.max() > 10


def naive_dreg(k):
    """DReG as written for one layer: each layer's log q with its mean and scale held constant.

    In log q(h_2|h_1) this cuts the path from h_1 through the mean and scale of h_2.
    """
    stop = jax.lax.stop_gradient

    def log_w(parts, x, key, *, held):
        (h1, h2), _ = parts.posterior.sample_and_log_prob(x, key=key)
        q1, q2 = parts.posterior.conditionals
        d1, d2 = q1.distribution(x), q2.distribution(h1)
        if held:
            d1, d2 = jax.tree.map(stop, (d1, d2))
        return parts.model.log_joint(x, (h1, h2)) - d1.log_prob(h1) - d2.log_prob(h2)

    def loss(parts, x, keys):
        weights = jax.nn.softmax(jax.vmap(lambda key: log_w(parts, x, key, held=False))(keys))
        held = jax.vmap(lambda key: log_w(parts, x, key, held=True))(keys)
        return -jnp.sum(stop(weights**2) * held)

    def step(parts, x, keys):
        return Step(eqx.filter_grad(loss)(parts, x[0], split_each(keys, k)[0]), jnp.zeros(1))

    return step


@functools.cache
def of_naive():
    return gradients_of({k: naive_dreg(k) for k in (1, K)}, 2)


# One draw: what is cut has mean zero. More draws: it has not, and the comparison sees it.
@pytest.mark.slow
def test_holding_each_layer_by_itself_would_be_wrong_for_two_layers():
    one = paired_z(of_naive()[1]["posterior"], of_size(2, 1)["total"]["posterior"])
    assert np.abs(one).max() < LIMIT
    more = paired_z(of_naive()[K]["posterior"], of_cases(2)["iwae"]["posterior"])
    assert np.abs(more).max() > 10


# Tucker et al. 2018: the reason for the estimator.
@pytest.mark.parametrize("k", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_dreg_has_the_lower_variance_in_the_posterior_part(k):
    gradients = of_size(1, k)
    total, dreg = (gradients[name]["posterior"].var(axis=0).sum() for name in ("total", "dreg"))
    assert dreg < 0.8 * total


def test_estimator_b_has_the_lower_variance_in_the_posterior_part():
    a, b = (of_cases(1)[name]["posterior"].var(axis=0).sum() for name in ("elbo-A", "elbo-B"))
    assert b < a
