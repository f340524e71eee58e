"""Annealing along a path with places to spare gives the numbers of a path without them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.mcmc import Problem, backward, forward, tuned, untuned

LENGTH = 6
PROBLEM = Problem(
    start=lambda given, key: jax.random.normal(key, (2,)),
    base=lambda given, z: -0.5 * jnp.sum(z**2),
    tilt=lambda given, z: -2.0 * jnp.sum((z - given) ** 2),
)
GIVEN = jnp.asarray([[1.0, -0.5], [0.2, 2.0]])


def keys(seed):
    return jax.random.split(jax.random.key(seed), (2, 8))


@pytest.fixture(scope="module", params=[False, True], ids=["as scheduled", "adaptive"])
def paths(request):
    """The tuned path without places to spare, and with five."""

    @jax.jit
    def found(path):
        return tuned(
            PROBLEM, path, GIVEN, keys(0), leapfrog=3, acceptance=0.7, adaptive=request.param
        )

    return [found(untuned("sigmoid", LENGTH, places)) for places in (None, LENGTH + 5)]


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


def test_the_tuned_path_is_the_same(paths):
    plain, filled = paths
    assert (plain.step_sizes.shape, filled.step_sizes.shape) == ((LENGTH,), (LENGTH + 5,))
    assert int(plain.length) == int(filled.length) == LENGTH
    same(plain.betas, filled.betas[: LENGTH + 1])
    same(plain.step_sizes, filled.step_sizes[:LENGTH])
    assert np.all(np.asarray(filled.betas[LENGTH:]) == 1)
    assert plain.betas[-1] == 1
    assert np.ptp(plain.step_sizes) > 0.01


@pytest.mark.parametrize("there", [True, False], ids=["forward", "backward"])
def test_passes_are_the_same(paths, there):
    # Draws of the target N((4 given) / 5, 1 / 5).
    z = 0.8 * GIVEN[:, None] + jax.random.normal(jax.random.key(9), (2, 8, 2)) / np.sqrt(5)

    @jax.jit
    def passed(path):
        if there:
            return forward(PROBLEM, path, GIVEN, keys(1), leapfrog=3)
        return backward(PROBLEM, path, GIVEN, z, keys(1), leapfrog=3)

    plain, filled = map(passed, paths)
    same(plain.log_w, filled.log_w)
    same(plain.z, filled.z)
    for name in ("acceptance", "deviation"):
        whole = np.asarray(getattr(filled, name))
        same(getattr(plain, name), whole[:LENGTH])
        assert np.all(whole[LENGTH:] == 0)
        assert np.all(whole[:LENGTH] > 0)
