"""A log-prior on the parameters: its gradient, its weight, and AEVB's full-data objective."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once
from tests.laws import runs
from tests.laws.runs import WRONG

from tightbound.core.errors import UsageError
from tightbound.objectives import elbo, map_estimate


def step(objective, *arguments):
    return once.compiled(objective)(*arguments)


def test_the_gradient_is_that_of_the_objective_and_of_the_log_prior_over_n():
    parts, (x, keys) = runs.parts_of(WRONG, 1), runs.batch()
    plain = step(elbo(), parts, x, keys)
    with_prior = step(map_estimate(elbo(), n=50, scale=2.0), parts, x, keys)
    np.testing.assert_allclose(with_prior.bound, plain.bound, rtol=1e-6)
    weights = eqx.filter(parts, eqx.is_inexact_array)
    # d/dw of -log N(w; 0, 4) / 50 is w / 200: weight decay.
    expected = jax.tree.map(lambda g, w: g + w / 200, plain.grads, weights)
    for one, other in zip(
        jax.tree.leaves(with_prior.grads), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_any_log_prior_will_do():
    parts, (x, keys) = runs.parts_of(WRONG, 1), runs.batch()
    plain = step(elbo(), parts, x, keys)

    def on_one_weight(parts):
        return -jnp.sum(jnp.abs(parts.model.likelihood.location.weight))

    grads = step(map_estimate(elbo(), n=10, log_prior=on_one_weight), parts, x, keys).grads
    sign = jnp.sign(parts.model.likelihood.location.weight) / 10
    moved = grads.model.likelihood.location.weight - plain.grads.model.likelihood.location.weight
    np.testing.assert_allclose(moved, sign, rtol=1e-4, atol=1e-6)
    for one, other in zip(
        jax.tree.leaves(grads.posterior), jax.tree.leaves(plain.grads.posterior), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# Kingma & Welling, eq. 8: over a partition the minibatch estimates add up to the full-data sum.
def test_minibatches_of_a_partition_add_up_to_the_full_data():
    parts, (x, keys) = runs.parts_of(WRONG, 1), runs.batch(12)
    one_step = once.compiled(map_estimate(elbo(), n=12))
    whole = one_step(parts, x, keys).grads
    pieces = [one_step(parts, x[i : i + 4], keys[i : i + 4]).grads for i in (0, 4, 8)]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 3, *pieces)
    for one, other in zip(jax.tree.leaves(mean), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(("n", "scale"), [(0, 1.0), (5, 0.0), (5, -1.0), (5, float("nan"))])
def test_wrong_use_is_refused(n, scale):
    with pytest.raises(UsageError, match="expected"):
        map_estimate(elbo(), n=n, scale=scale)
