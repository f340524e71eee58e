"""At the exact posterior log w = log p(x) for each draw: bounds have no variance, and the
estimators without a score term vanish draw by draw."""

import functools

import jax
import numpy as np
import pytest

from tests.cases import CASES
from tests.laws import runs
from tests.laws.runs import EXACT, NAMES, WRONG
from tests.oracles import linear_gaussian
from tightbound.objectives import elbo, iwae

SIZES = {f"elbo-{n}": functools.partial(elbo, samples=n) for n in (1, 7)}
SIZES |= {f"iwae-{k}": functools.partial(iwae, k) for k in (1, 5, 50)}
GRADIENTS = ("stl", "dreg")


@functools.cache
def log_evidence(layers):
    parts = linear_gaussian.exact_parts(layers)
    return linear_gaussian.log_evidence(parts.model, runs.batch()[0])


def largest(grads):
    return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_oracle_is_right_by_sampling_from_the_prior(layers):
    # Two ways to p(x): dense algebra, and the mean of p(x|z) over the prior in float64.
    model = linear_gaussian.exact_parts(layers).model
    whole = linear_gaussian.joint(model)
    bottom, visible = whole.blocks[-2:]
    rng = np.random.default_rng(3)
    h = rng.multivariate_normal(whole.mean[bottom], whole.cov[bottom, bottom], 400_000)
    last = linear_gaussian.read(getattr(model.likelihood, "conditional", model.likelihood))
    x = whole.mean[visible] + 0.5
    residual = (x - h @ last.matrix.T - last.offset) ** 2 / last.variance
    density = np.exp(-0.5 * (residual + np.log(2 * np.pi * last.variance)).sum(axis=1))
    error = density.std() / np.sqrt(len(density))
    truth = np.exp(linear_gaussian.log_evidence(model, x))
    assert abs(density.mean() - truth) < 4.9 * error
    assert error < 0.01 * truth


@pytest.mark.parametrize(("name", "layers"), [(n, at) for n, at in NAMES if CASES[n].exact])
def test_each_case_gives_log_evidence_without_variance(name, layers):
    for seed in (0, 1):
        bound = runs.step_of(EXACT, name, layers, seed=seed).bound
        np.testing.assert_allclose(bound, log_evidence(layers), rtol=0, atol=1e-4)
    away = runs.step_of(WRONG, name, layers).bound
    assert np.abs(away - log_evidence(layers)).max() > 0.1


@pytest.mark.parametrize(("name", "layers"), NAMES)
def test_a_posterior_gradient_vanishes_for_the_cases_that_say_so_alone(name, layers):
    size = largest(runs.step_of(EXACT, name, layers).grads.posterior)
    if CASES[name].vanishes:
        assert size < 1e-4
    else:
        assert size > 1e-2
    assert largest(runs.step_of(WRONG, name, layers).grads.posterior) > 1e-2


@functools.cache
def all_sizes(layers):
    parts = linear_gaussian.exact_parts(layers)
    objectives = {
        (name, gradient): make(gradient=gradient)
        for name, make in SIZES.items()
        for gradient in GRADIENTS
    }

    def steps(x, keys):
        return {name: objective.step(parts, x, keys) for name, objective in objectives.items()}

    return jax.jit(steps, compiler_options=runs.QUICK)(*runs.batch())


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("layers", [1, 2])
def test_bounds_and_gradients_of_every_size(layers, name, gradient):
    step = all_sizes(layers)[name, gradient]
    np.testing.assert_allclose(step.bound, log_evidence(layers), rtol=0, atol=1e-4)
    assert largest(step.grads.posterior) < 1e-4
    assert largest(step.grads.model) > 1e-1
