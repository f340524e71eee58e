"""Compiled programs give the numbers of the same operations one by one, at sizes 2^j + 1.

XLA's optimisations, which other tests do without, are on in the compiled ones. Sizes just beyond a
power of two are where vectorised loops have a remainder, and where a compiler known to us gave
wrong sums (`tightbound doctor` looks for it).
"""

import jax
import numpy as np
import pytest

import tightbound as tb
from tests.cases import CASES
from tests.laws.runs import WRONG, parts_of
from tests.once import step
from tightbound.core.compilation import filter_jit

OFTEN = "iwae-dreg"
SIZES = (5, 9, 17)


def sizes():
    """Each case at one size in turn, and `OFTEN` at all of them: programs differ by case."""
    names = [name for name, case in CASES.items() if case.layers]
    found = {(name, SIZES[number % len(SIZES)]) for number, name in enumerate(names)}
    return sorted(found | {(OFTEN, n) for n in SIZES})


@pytest.mark.slow
@pytest.mark.usefixtures("as_users")
@pytest.mark.parametrize(("name", "n"), sizes())
def test_a_compiled_step_is_that_of_its_operations(name, n):
    objective = CASES[name].objective
    parts = parts_of(WRONG, 1)
    x = jax.vmap(parts.model.sample)(jax.random.split(jax.random.key(n), n))[0]
    keys = jax.random.split(jax.random.key(1), n)
    compiled = filter_jit(lambda parts, x, keys: step(objective, parts, x, keys))
    found = compiled(parts, x, keys)
    one_by_one = step(objective, parts, x, keys)
    np.testing.assert_allclose(found.bound, one_by_one.bound, rtol=2e-5, atol=2e-5)
    pairs = zip(jax.tree.leaves(found.grads), jax.tree.leaves(one_by_one.grads), strict=True)
    for one, other in pairs:
        scale = max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-4 * scale)


@pytest.mark.usefixtures("as_users")
@pytest.mark.parametrize("n", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in SIZES[1:])])
def test_an_evaluation_is_that_of_its_operations(n):
    parts = parts_of(WRONG, 1)
    x = jax.vmap(parts.model.sample)(jax.random.split(jax.random.key(n), n))[0]
    found = tb.evaluate(parts.model, parts.posterior, np.asarray(x), k=n)
    z = tb.draws(parts.model, parts.posterior, np.asarray(x), n=n)
    log_w = jax.vmap(jax.vmap(parts.model.log_joint, (None, 0)))(x, z) - jax.vmap(
        jax.vmap(lambda z, x: parts.posterior.log_prob(z, x), (0, None))
    )(z, x)
    expected = jax.nn.logsumexp(log_w, axis=1) - np.log(n)
    np.testing.assert_allclose(found.log_evidence, expected, rtol=2e-5, atol=2e-5)
