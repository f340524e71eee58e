"""What every step must be: shaped like the parts, honest about the bound, independent of batches.

At the exact posterior log w = log p(x) for each draw: bounds have no variance, and the estimators
without a score term vanish draw by draw. All cases stand in the two programs of `runs`.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import once
from tests.cases import CASES
from tests.laws import runs
from tests.laws.runs import EXACT, NAMES, WRONG, two_layers_slow
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


@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
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


@pytest.mark.parametrize(
    ("name", "layers"), two_layers_slow([(n, at) for n, at in NAMES if CASES[n].exact])
)
def test_each_case_gives_log_evidence_without_variance(name, layers):
    for seed in (0, 1):
        bound = runs.step_of(EXACT, name, layers, seed=seed).bound
        np.testing.assert_allclose(bound, log_evidence(layers), rtol=0, atol=1e-4)
    away = runs.step_of(WRONG, name, layers).bound
    assert np.abs(away - log_evidence(layers)).max() > 0.1


@pytest.mark.parametrize(("name", "layers"), two_layers_slow(NAMES))
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
        return {
            name: once.step(objective, parts, x, keys) for name, objective in objectives.items()
        }

    return jax.jit(steps, compiler_options=runs.QUICK)(*runs.batch())


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_bounds_and_gradients_of_every_size(layers, name, gradient):
    step = all_sizes(layers)[name, gradient]
    np.testing.assert_allclose(step.bound, log_evidence(layers), rtol=0, atol=1e-4)
    assert largest(step.grads.posterior) < 1e-4
    assert largest(step.grads.model) > 1e-1


def one_of_each():
    """The first case of each objective and gradient: bounds see log-weights alone."""
    first = {}
    for name, case in CASES.items():
        o = case.objective
        first.setdefault((type(o), type(getattr(o, "gradient", None))), name)
    return set(first.values())


ONE_OF_EACH = one_of_each()
every_case = pytest.mark.parametrize(("name", "layers"), two_layers_slow(NAMES))


def assert_close(one, other, tolerance=2e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * (1 + np.abs(b).max()))


@functools.cache
def bounds_of_twenty(layers):
    parts = runs.parts_of(WRONG, layers)
    objectives = {name: CASES[name].objective for name in runs.names(layers)}

    def bounds(x, keys):
        return {
            name: once.bound(objective, parts, x, keys) for name, objective in objectives.items()
        }

    return jax.jit(bounds, compiler_options=runs.QUICK)(*runs.batch(20))


@every_case
def test_gradients_have_the_tree_shapes_and_types_of_the_parts(name, layers):
    parts = eqx.filter(runs.parts_of(WRONG, layers), eqx.is_inexact_array)
    grads = runs.step_of(WRONG, name, layers).grads
    assert jax.tree.structure(grads) == jax.tree.structure(parts)
    for gradient, leaf in zip(jax.tree.leaves(grads), jax.tree.leaves(parts), strict=True):
        assert gradient.shape == leaf.shape
        assert gradient.dtype == leaf.dtype
        assert np.isfinite(gradient).all()
        assert np.any(gradient != 0)


@every_case
def test_every_case_suits_its_parts_and_says_a_direction(name, layers):
    objective = CASES[name].objective
    objective.check(runs.parts_of(WRONG, layers))
    assert objective.kind in ("lower", "upper", "consistent", "none")


# The 20 are computed by `bound`, the 7 by `step`.
@every_case
def test_step_reports_the_bound_itself_and_it_does_not_depend_on_the_batch(name, layers):
    seven = runs.step_of(WRONG, name, layers).bound
    assert seven.shape == (7,)
    twenty = bounds_of_twenty(layers)[name]
    assert twenty.shape == (20,)
    np.testing.assert_allclose(seven, twenty[:7], rtol=1e-5, atol=1e-5)


@every_case
def test_permuting_items_permutes_bounds_and_keeps_gradients(name, layers):
    order = np.array([3, 0, 6, 2, 5, 1, 4])
    step = runs.step_of(WRONG, name, layers)
    permuted = permuted_steps(layers, tuple(order))[name]
    np.testing.assert_allclose(permuted.bound[WRONG], step.bound[order], rtol=1e-5, atol=1e-5)
    assert_close(jax.tree.map(lambda g: g[WRONG], permuted.grads), step.grads)


@functools.cache
def permuted_steps(layers, order):
    x, keys = runs.batch()
    order = jnp.asarray(order)
    both = runs.arrays_of_both(layers)
    return runs.program(layers)(both, runs.repeat(x[order]), runs.repeat(keys[order]))


@every_case
def test_same_keys_same_step_and_other_keys_another(name, layers):
    again = runs.program(layers)(runs.arrays_of_both(layers), *runs.repeat(runs.batch()))[name]
    for a, b in zip(jax.tree.leaves(runs.steps(layers)[name]), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    other = runs.step_of(WRONG, name, layers, seed=1)
    assert np.all(other.bound != runs.step_of(WRONG, name, layers).bound)


# The program has both replicas and is compiled; here each runs alone, operation by operation.
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        pytest.param(n, at, marks=[] if (n, at) == ("iwae-dreg", 1) else pytest.mark.slow)
        for n, at in NAMES
        if n in ONE_OF_EACH and (at == 1 or not CASES[n].at_random)
    ],
)
def test_compiled_replicas_equal_a_loop_without_jit(name, layers):
    x, keys = runs.batch()
    objective = CASES[name].objective
    for replica in (EXACT, WRONG):
        alone = once.step(objective, runs.parts_of(replica, layers), x, keys)
        compiled = runs.step_of(replica, name, layers)
        np.testing.assert_allclose(compiled.bound, alone.bound, rtol=1e-5, atol=1e-5)
        assert_close(compiled.grads, alone.grads)


@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_steps_are_traced_once_for_all_keys_items_and_parameters(layers):
    both, (x, keys) = runs.arrays_of_both(layers), runs.batch()
    runs.program(layers)(both, *runs.repeat((x, keys)))
    moved = jax.tree.map(lambda leaf: leaf + 0.1, both)
    runs.program(layers)(moved, *runs.repeat((x + 1.0, keys)))
    with pytest.raises(RuntimeError, match="traced"):  # a shape of its own is a trace of its own
        runs.program(layers)(both, *runs.repeat((x[:3], keys[:3])))
