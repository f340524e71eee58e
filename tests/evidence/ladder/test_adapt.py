"""What weighted draws make of the mixture: masses, locations and scales at the truth's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evidence.ladder.test_cover import CORNER, COVARIANCE, normals
from tests.ztest import LIMIT
from tightbound.distributions import StudentMixture
from tightbound.evidence.ladder.adapt import Pool, refitted, reweighted
from tightbound.evidence.ladder.cover import Cover

FACTOR = np.linalg.cholesky(COVARIANCE)
TRUTH = StudentMixture.of([0.3, 0.7], np.stack([np.zeros(2), CORNER]), np.stack([FACTOR, FACTOR]))


def weighed(key, cover, log_density, n=4000):
    """Draws of a cover, and their log-weights for a density."""
    mixture = cover.mixture

    @jax.jit
    @jax.vmap
    def each(key):
        u = mixture.sample(key=key)
        return u, log_density(u) - mixture.log_prob(u)

    return tuple(np.asarray(a, np.float64) for a in each(jax.random.split(key, n)))


@pytest.mark.stat
def test_weighted_draws_move_shares_to_the_truth(getkey):
    # A false alarm at 4.9 standard errors: 1e-6. What was claimed is off by a factor of 20.
    truth = normals([0.25, 0.75])
    wrong = Cover(np.stack([np.zeros(2), CORNER]), np.stack([FACTOR, FACTOR]), np.log([0.9, 0.1]))
    u, log_w = weighed(getkey(), wrong, lambda u: truth.log_joint(jnp.zeros(0), u))
    better = reweighted(wrong, u, log_w)
    # The mass of a mode is a mean of weights: its error, and 20 draws' worth of the old claim.
    for of, mass in enumerate((0.25, 0.75)):
        near = (u[:, 0] > 3) == (of == 1)
        error = np.std(np.exp(log_w) * near) / np.sqrt(len(u))
        claim = abs(wrong.log_mass[of] - np.log(mass)) * 20 / 100
        assert abs(np.exp(better.log_mass[of]) - mass) < LIMIT * error + claim * mass


def test_few_effective_draws_leave_a_mass_as_it_was():
    cover = Cover(np.stack([np.zeros(2), CORNER]), np.stack([FACTOR, FACTOR]), np.zeros(2))
    u = np.repeat(CORNER[None], 50, 0)
    lone = np.concatenate([[0.0], np.full(49, -50.0)])
    barely = reweighted(cover, u, lone)
    # One effective draw of 50 counts for 1 part in 21.
    assert barely.log_mass[1] == pytest.approx(-np.log(50) / 21, rel=1e-2)


@pytest.mark.stat
def test_weighted_draws_move_components_to_the_truth(getkey):
    # Of 12,000 draws some 2,000 effective ones for the smaller component: locations and scales
    # within 1 / sqrt(2,000) = .022 of them; .15 is beyond 5 standard errors.
    cover = Cover(
        np.stack([[0.5, 0.4], CORNER + 0.4]), np.stack([0.6 * FACTOR, 1.5 * FACTOR]), np.zeros(2)
    )
    pool = None
    for _ in range(3):
        u, log_w = weighed(getkey(), cover, TRUTH.log_prob)
        pool = Pool.of(cover, u, log_w) if pool is None else pool.plus(cover, u, log_w)
        cover = refitted(cover, pool.u, pool.log_w)
    for of, place in enumerate((np.zeros(2), CORNER)):
        np.testing.assert_allclose(cover.location[of], place, atol=0.15)
        scale = cover.factor[of] @ cover.factor[of].T
        np.testing.assert_allclose(scale, COVARIANCE, atol=0.15)
    np.testing.assert_allclose(np.exp(cover.log_mass), [0.3, 0.7], atol=0.05)


def test_one_effective_draw_moves_no_component():
    cover = Cover(np.stack([np.zeros(2), CORNER]), np.stack([FACTOR, FACTOR]), np.zeros(2))
    u = np.concatenate([CORNER[None] + 1, np.repeat(CORNER[None], 49, 0)])
    lone = np.concatenate([[0.0], np.full(49, -50.0)])
    same = refitted(cover, u, lone)
    np.testing.assert_allclose(same.location, cover.location, atol=1 / 20)
    np.testing.assert_array_equal(same.factor[0], FACTOR)
    assert np.linalg.det(same.factor[1]) > 0


def test_a_pool_weighs_draws_by_the_mean_of_their_laws(getkey):
    near = Cover(np.zeros((1, 2)), FACTOR[None], np.zeros(1))
    far = Cover(CORNER[None], FACTOR[None], np.zeros(1))
    one = weighed(getkey(), near, TRUTH.log_prob, 64)
    other = weighed(getkey(), far, TRUTH.log_prob, 64)
    pool = Pool.of(near, *one).plus(far, *other)
    u = np.concatenate([one[0], other[0]])
    laws = [jax.vmap(of.mixture.log_prob)(jnp.asarray(u, jnp.float32)) for of in (near, far)]
    log_p = jax.vmap(TRUTH.log_prob)(jnp.asarray(u, jnp.float32))
    by_hand = np.asarray(log_p) - np.logaddexp(*laws) + np.log(2)
    np.testing.assert_allclose(pool.log_w, by_hand, atol=1e-3)
    # A weight is never beyond what the better of both laws gives it, twice.
    assert np.max(pool.log_w) < np.log(2) + 0.5
