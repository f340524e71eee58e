"""Where bounds stand against log p(x) and each other, and what refuses to be built.

False alarms: 13 one-sided or two-sided comparisons at 4.5 standard errors or more, below 1e-4
for a new set of keys; the keys are fixed.
"""

import functools

import jax
import numpy as np
import pytest

from tests import once
from tests.laws import runs
from tests.laws.runs import WRONG
from tests.oracles import linear_gaussian
from tests.ztest import paired_z, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.distributions import AbstractConditional
from tightbound.objectives import Params, elbo, iwae

REPLICAS = 2**12
SIZES = (1, 5, 50)
GRADIENTS = {1: ("reparameterized", "stl", "dreg", "single_sample"), 2: ("reparameterized", "dreg")}


@functools.cache
def bounds(layers):
    """Bounds of one datum for each key; the draws of a smaller k are the first of a larger one."""
    parts = runs.parts_of(WRONG, layers)
    x, _ = runs.batch(1)
    objectives = {f"iwae-{k}": iwae(k) for k in SIZES} | {"A": elbo(samples=3)}
    if layers == 1:
        objectives["B"] = elbo("B", samples=3)

    def one(key):
        return {name: once.bound(o, parts, x, key[None])[0] for name, o in objectives.items()}

    keys = jax.random.split(jax.random.key(5), REPLICAS)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(one), compiler_options=runs.QUICK)(keys))


def log_evidence(layers):
    model = runs.parts_of(WRONG, layers).model
    return linear_gaussian.log_evidence(model, runs.batch(1)[0])[0]


@pytest.mark.stat
@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_bounds_rise_with_k_and_stay_below_the_evidence(layers):
    estimates = [bounds(layers)[f"iwae-{k}"] for k in SIZES]
    for few, many in zip(estimates[:-1], estimates[1:], strict=True):
        assert paired_z(many, few) > 4.5
    for estimate in estimates:
        assert z_of_mean(estimate, log_evidence(layers)) < 4.5
    # One draw is seen to be below, and fifty come ten times closer: the comparison has power.
    gaps = [log_evidence(layers) - estimate.mean() for estimate in estimates]
    assert gaps[0] > 0.1
    assert abs(gaps[2]) < 0.1 * gaps[0]


@pytest.mark.stat
@pytest.mark.parametrize("name", ["iwae-1", "A", "B"])
def test_the_elbo_has_its_exact_mean(name):
    truth = linear_gaussian.exact_elbo(runs.parts_of(WRONG, 1), runs.batch(1)[0][0])
    assert abs(z_of_mean(bounds(1)[name], truth)) < 4.9
    assert truth < log_evidence(1) - 0.1


@pytest.mark.stat
def test_estimator_b_equals_estimator_a_in_the_mean():
    estimates = bounds(1)
    assert abs(paired_z(estimates["B"], estimates["A"])) < 4.9
    assert not np.allclose(estimates["B"], estimates["A"])


# Burda et al., section 3: with k = 1 the two objectives are one.
@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_iwae_of_one_draw_is_the_elbo_of_one_draw_to_the_last_bit(layers):
    parts = runs.parts_of(WRONG, layers)

    def both(x, keys):
        return [
            (
                once.step(iwae(1, gradient), parts, x, keys),
                once.step(elbo("A", 1, gradient), parts, x, keys),
            )
            for gradient in GRADIENTS[layers]
        ]

    for one, other in jax.jit(both, compiler_options=runs.QUICK)(*runs.batch()):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_estimator_b_refuses_other_gradients():
    for gradient in ("stl", "dreg", "single_sample"):
        with pytest.raises(UsageError, match="B has the gradient 'reparameterized' only, got .*A"):
            elbo("B", gradient=gradient)


def test_estimator_b_refuses_several_layers():
    with pytest.raises(UsageError, match="expected one stochastic layer .* got Layered .*'A'"):
        elbo("B").check(linear_gaussian.exact_parts(2))


def test_a_posterior_without_density_is_refused():
    class Implicit(AbstractConditional):
        def sample(self, given, *, key):
            return given

    parts = Params(linear_gaussian.one_layer_model(), Implicit())
    for objective in (iwae(5), elbo()):
        with pytest.raises(
            UsageError, match="needs the density of the posterior.* Implicit offers samples"
        ):
            objective.check(parts)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: elbo("C"), "expected estimator 'A' or 'B', got 'C'"),
        (lambda: elbo(samples=0), "expected samples >= 1, got 0"),
        (lambda: iwae(0), "expected k >= 1, got 0"),
        (lambda: iwae(True), "expected k to be a whole number >= 1, got True"),
        (lambda: iwae(5, "pathwise"), "got 'pathwise'; did you mean reparameterized"),
        (lambda: iwae(5, "dreg@0"), "got 'dreg@0'"),
        (lambda: iwae(5, "dreg@²"), "got 'dreg@²'"),
    ],
)
def test_wrong_use_is_refused_in_words(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_names_say_the_call():
    assert iwae(8, "dreg").description == "iwae(k=8, gradient='doubly_reparameterized')"
    assert iwae(8, "single_sample").description == "iwae(k=8, gradient='reparameterized@1')"
    call = "elbo(estimator='A', samples=2, gradient='sticking_the_landing')"
    assert elbo(samples=2, gradient="stl").description == call
    assert elbo("B", samples=2).description == "elbo(estimator='B', samples=2)"
