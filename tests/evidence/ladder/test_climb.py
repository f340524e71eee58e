"""Climbs end at modes that are known, and their paths are points of the density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.evidence.targets import banana
from tightbound.evidence.ladder.climb import STEPS, climb
from tightbound.evidence.ladder.units import Units

PRECISION = np.array([[3.0, 1.0], [1.0, 0.5]], np.float32)
MODE = np.array([4.0, -7.0], np.float32)


def units_of(target):
    return Units.of(target, jnp.zeros(0), np.zeros(2), np.eye(2))


def quadratic(z):
    away = z - jnp.asarray(MODE)
    return -0.5 * jnp.sum(away * jnp.sum(jnp.asarray(PRECISION) * away[None, :], axis=1))


def two_modes(z):
    """Modes at 3 and -3 in the first direction, within exp(-18)."""
    return (
        jnp.logaddexp(-0.5 * jnp.sum((z[:1] - 3) ** 2), -0.5 * jnp.sum((z[:1] + 3) ** 2))
        - z[1] ** 2
    )


@pytest.fixture(scope="module")
def starts():
    return jax.random.normal(jax.random.key(0), (8, 2)) * 5


def heights(density, climbs):
    """The density at the points of the paths, and which of them were reached."""
    reached = np.arange(climbs.u.shape[0]) <= int(climbs.steps)
    return np.asarray(jax.vmap(jax.vmap(density))(climbs.u), np.float64), reached


def test_a_quadratic_is_climbed_in_few_steps(starts):
    climbs = climb(units_of(tb.Target(quadratic, 2)), starts)
    steps = int(climbs.steps)
    assert steps <= 25
    assert np.all(climbs.arrived)
    # Within the gain at which a climb ends: 0.01 nats below the mode, in the density.
    ends = np.asarray(climbs.u[steps])
    assert np.all(np.asarray(jax.vmap(quadratic)(ends)) > -0.02)
    truth, reached = heights(quadratic, climbs)
    np.testing.assert_allclose(climbs.log_density[reached], truth[reached], rtol=1e-4, atol=1e-4)
    assert np.all(np.isneginf(climbs.log_density[~reached]))
    # Never downwards, and from the start itself.
    assert np.all(np.diff(climbs.log_density[reached], axis=0) >= 0)
    np.testing.assert_array_equal(climbs.u[0], starts)


def test_every_gradient_is_counted(starts):
    seen = []

    def one(z):
        seen.append(z.shape[0] if z.ndim > 1 else 1)
        return np.zeros(z.shape[:-1], np.float32)

    @jax.custom_jvp
    def ticked(z):
        return jnp.zeros((), z.dtype)

    @ticked.defjvp
    def _(primals, tangents):
        (z,), (along,) = primals, tangents
        none = jax.pure_callback(
            one, jax.ShapeDtypeStruct((), z.dtype), z, vmap_method="expand_dims"
        )
        return none, none * jnp.sum(along)

    climbs = climb(units_of(tb.Target(lambda z: quadratic(z) + ticked(z), 2)), starts)
    jax.block_until_ready(climbs)
    assert sum(seen) == len(starts) * (int(climbs.steps) + 1)


def test_each_mode_is_reached_from_its_side():
    starts = jnp.asarray([[6.0, 1.0], [0.5, -2.0], [-0.5, 2.0], [-20.0, 9.0]])
    climbs = climb(units_of(tb.Target(two_modes, 2)), starts)
    assert np.all(climbs.arrived)
    ends = np.asarray(climbs.u[int(climbs.steps)])
    assert np.allclose(np.abs(ends[:, 0]), 3, atol=0.15)
    assert set(np.sign(ends[:, 0])) == {1, -1}
    assert ends[1, 0] > 0 > ends[2, 0]


def test_a_crooked_ridge_is_climbed(starts):
    target = banana()
    density = lambda z: target.log_joint(jnp.zeros(0), z)  # noqa: E731
    climbs = climb(units_of(target), starts)
    steps = int(climbs.steps)
    assert steps < STEPS
    grid = np.linspace(-8, 8, 401, dtype=np.float32)
    points = jnp.asarray(np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2))
    top = float(jnp.max(jax.vmap(density)(points)))
    assert np.all(np.asarray(climbs.log_density[steps]) > top - 0.1)


def test_a_plateau_and_a_forbidden_start_stay_where_they_are():
    flat = climb(units_of(tb.Target(lambda z: jnp.sum(0.0 * z) - 3, 2)), jnp.ones((2, 2)))
    assert np.all(flat.arrived)
    np.testing.assert_array_equal(flat.u[int(flat.steps)], np.ones((2, 2)))

    def walled(z):
        return jnp.where(z[0] > 0, -0.5 * jnp.sum((z - 1) ** 2), -jnp.inf)

    starts = jnp.asarray([[-2.0, 0.0], [4.0, 0.0]])
    climbs = climb(units_of(tb.Target(walled, 2)), starts)
    last = int(climbs.steps)
    np.testing.assert_array_equal(climbs.u[last, 0], starts[0])
    assert np.isneginf(climbs.log_density[last, 0])
    assert climbs.arrived[0]
    # The neighbour is not held up by it.
    np.testing.assert_allclose(climbs.u[last, 1], [1.0, 1.0], atol=0.15)


def test_nan_is_no_way_up():
    def broken(z):
        return jnp.where(z[0] > 2, jnp.nan, -0.5 * jnp.sum((z - 1) ** 2))

    climbs = climb(units_of(tb.Target(broken, 2)), jnp.asarray([[3.0, 0.0], [-4.0, 0.0]]))
    last = int(climbs.steps)
    assert np.isneginf(climbs.log_density[last, 0])
    np.testing.assert_allclose(climbs.u[last, 1], [1.0, 1.0], atol=0.15)
    assert not np.any(np.isnan(climbs.u))
