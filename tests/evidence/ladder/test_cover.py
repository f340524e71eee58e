"""The mixture that covers a density: exact on normals, whatever the units, and no wider."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.evidence.targets import mixture
from tightbound.evidence.ladder.cover import (
    FLOOR,
    MOST,
    NEGLIGIBLE,
    Cover,
    added,
)
from tightbound.evidence.ladder.units import Units

COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.9]])
LOG_Z = 1.7
CORNER = np.array([6.0, -5.0])


class Looked:
    """A density in units of its own, and how often its values were asked for."""

    def __init__(self, target, scale=1.0):
        self.units = Units.of(target, jnp.zeros(0), np.zeros(2), scale * np.eye(2))
        self.asked = 0
        self._values = jax.jit(jax.vmap(self.units.log_density))

    def values(self, u):
        self.asked += len(u)
        # One program for any number of points up to so many.
        filled = np.resize(np.asarray(u, np.float32), (256, 2))
        return np.asarray(self._values(filled), np.float64)[: len(u)]

    def added(self, cover, u, *, widest=30.0):
        u = np.asarray(u, np.float64)
        return added(cover, self.units, self.values, u, self.values(u), widest=widest)


def normals(weights, means=((0.0, 0.0), CORNER)):
    """Normals with one covariance whose integrals are the weights."""
    means = np.asarray(means)[: len(weights)]
    return mixture(means, np.repeat(COVARIANCE[None], len(weights), 0), weights)


NOTHING = Cover.nothing(2)


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_a_normal_is_covered_exactly_in_any_linear_scale(scale):
    looked = Looked(normals([np.exp(LOG_Z)]), scale)
    # Where the density does not say how wide it is, it is no wider than this.
    cover, hessians, _ = looked.added(NOTHING, np.zeros((1, 2)), widest=30 / scale)
    assert hessians == 1
    factor = scale * cover.factor[0]
    np.testing.assert_allclose(factor @ factor.T, COVARIANCE, rtol=5e-3)
    assert cover.log_mass[0] == pytest.approx(LOG_Z, abs=5e-3)
    assert cover.total == pytest.approx(LOG_Z, abs=5e-3)
    mean, covariance = cover.moments()
    np.testing.assert_allclose(mean, 0, atol=1e-9)
    np.testing.assert_allclose(scale**2 * covariance, COVARIANCE, rtol=5e-3)
    # The curvature and two looks to both sides of each axis, and the point itself.
    assert looked.asked == 1 + 2 * 4


def test_a_distant_mode_is_added_and_a_covered_point_is_not():
    looked = Looked(normals([1.0, 2.0]))
    one, *_ = looked.added(NOTHING, np.zeros((1, 2)))
    same, *_ = looked.added(one, np.array([[0.3, 0.2], [-0.8, 0.1]]))
    assert len(same.log_mass) == 1
    two, *_ = looked.added(one, np.stack([CORNER, np.array([0.2, 0.1])]))
    assert len(two.log_mass) == 2
    np.testing.assert_allclose(np.exp(two.log_mass), [1, 2], rtol=5e-3)
    np.testing.assert_allclose(two.location[1], CORNER)
    # The mass that components claim, and a floor that every one has.
    np.testing.assert_allclose(
        two.share, (1 - FLOOR) * np.array([1 / 3, 2 / 3]) + FLOOR / 2, rtol=5e-3
    )
    mean = two.share @ two.location
    np.testing.assert_allclose(two.moments()[0], mean)
    assert two.mixture.location.shape == (MOST, 2)


def test_both_modes_at_once_are_as_one_after_the_other():
    looked = Looked(normals([1.0, 2.0]))
    both, hessians, _ = looked.added(NOTHING, np.stack([np.zeros(2), CORNER, CORNER + 0.01]))
    assert sorted(np.round(both.log_mass, 2)) == [0.0, 0.69]
    # The third is the second again.
    assert hessians == 2


def test_a_negligible_mode_is_left_out():
    for log_weight, kept in ((-NEGLIGIBLE + 0.5, 2), (-NEGLIGIBLE - 0.5, 1)):
        looked = Looked(normals([1.0, np.exp(log_weight)]))
        cover, *_ = looked.added(NOTHING, np.zeros((1, 2)))
        cover, *_ = looked.added(cover, CORNER[None])
        assert len(cover.log_mass) == kept


def test_a_mode_that_finds_no_place_is_told():
    # 140 equal modes, far from each other.
    means = np.stack(np.meshgrid(np.arange(14), np.arange(10)), axis=-1).reshape(-1, 2) * 20.0
    looked = Looked(mixture(means, np.repeat(COVARIANCE[None], 140, 0), np.ones(140)))
    cover, _, left = looked.added(NOTHING, means[:MOST])
    assert len(cover.log_mass) == MOST
    assert not left
    same, _, left = looked.added(cover, means[:MOST] + 0.1)
    assert not left
    full, _, left = looked.added(same, means)
    assert left
    assert len(full.log_mass) == MOST


def test_degrees_of_freedom_grow_with_dimensions():
    assert Cover.nothing(2).dof == Cover.nothing(13).dof == 6
    assert Cover.nothing(50).dof == 25


def test_points_of_no_density_are_left_out():
    looked = Looked(tb.Target(lambda z: jnp.where(z[0] > 5, -jnp.inf, -0.5 * jnp.sum(z**2)), 2))
    cover, *_ = looked.added(NOTHING, np.array([[9.0, 0.0], [0.0, 0.0]]))
    assert len(cover.log_mass) == 1
    nothing, hessians, _ = looked.added(NOTHING, np.array([[9.0, 0.0]]))
    assert len(nothing.log_mass) == hessians == 0
    assert nothing.total == -np.inf


def test_a_flat_direction_is_as_wide_as_allowed_and_a_quartic_as_it_falls():
    flat = Looked(tb.Target(lambda z: -0.5 * z[0] ** 2, 2))
    cover, *_ = flat.added(NOTHING, np.zeros((1, 2)), widest=3.0)
    np.testing.assert_allclose(np.sort(np.linalg.svd(cover.factor[0])[1]), [1, 3], rtol=1e-2)
    # Of z^4 no Hessian says anything at 0: the scale is where it has fallen by half a nat.
    quartic = Looked(tb.Target(lambda z: -0.5 * z[0] ** 2 - z[1] ** 4, 2))
    cover, *_ = quartic.added(NOTHING, np.zeros((1, 2)), widest=3.0)
    narrow, wide = np.sort(np.linalg.svd(cover.factor[0])[1])
    assert wide == pytest.approx(1, rel=0.02)
    assert narrow == pytest.approx(0.5**0.25, rel=0.1)
