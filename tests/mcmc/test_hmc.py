"""Hamiltonian Monte Carlo on normal targets, whose moments are known.

False alarms: each comparison of moments allows 4.5 standard errors, so that correct code fails for
a new set of keys with a chance below 1e-5 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.mcmc import adapted, chain, transition

CHAINS = 20_000
MEAN = np.array([1.0, -2.0], np.float32)
COVARIANCE = np.array([[1.0, 0.9], [0.9, 1.5]], np.float32)
PRECISION = np.linalg.inv(COVARIANCE)


def log_density(z):
    away = z - jnp.asarray(MEAN)
    return -0.5 * jnp.sum(away * jnp.sum(jnp.asarray(PRECISION) * away[None, :], axis=1))


def exact_draws(key):
    factor = np.linalg.cholesky(COVARIANCE)
    return MEAN[None] + jax.random.normal(key, (CHAINS, 2)) @ factor.T


def largest_z(z):
    """Of means and second moments against the truth, in standard errors."""
    away = np.asarray(z, np.float64) - MEAN
    numbers = np.stack(
        [
            *away.T,
            *(away[:, i] * away[:, j] - COVARIANCE[i, j] for i, j in ((0, 0), (0, 1), (1, 1))),
        ]
    )
    return np.abs(numbers.mean(1) / (numbers.std(1) / np.sqrt(CHAINS))).max()


@pytest.mark.stat
@pytest.mark.parametrize("step_size", [0.3, 0.9])
def test_transitions_leave_the_target_as_it_is(step_size, getkey):
    z = exact_draws(getkey())

    def move(z, key):
        return transition(log_density, z, jnp.asarray(step_size), leapfrog=4, key=key)

    moved, acceptance = jax.jit(jax.vmap(move))(z, jax.random.split(getkey(), CHAINS))
    assert largest_z(moved) < 4.5
    assert np.mean(np.abs(moved - z) > 0.05) > 0.5
    # With the long step the Metropolis test has work to do: leapfrog alone misses the target.
    assert (acceptance.mean() < 0.9) == (step_size == 0.9)


@pytest.mark.slow
@pytest.mark.stat
def test_a_chain_from_afar_arrives(getkey):
    start = jnp.full((CHAINS, 2), 5.0)

    def arrive(z, key):
        return chain(log_density, z, jax.random.split(key, 80), leapfrog=10, target=0.8).last

    z = jax.jit(jax.vmap(arrive))(start, jax.random.split(getkey(), CHAINS))
    assert largest_z(z) < 4.5


@pytest.mark.parametrize("scale", [0.02, 1.0])
def test_tuning_finds_the_target_acceptance(scale, getkey):
    def move(carry, key):
        z, log_step = carry
        density = lambda z: -0.5 * jnp.sum((z / scale) ** 2)  # noqa: E731
        z, acceptance = transition(density, z, jnp.exp(log_step), leapfrog=5, key=key)
        return (z, adapted(log_step, acceptance, target=0.9, rate=0.1)), acceptance

    keys = jax.random.split(getkey(), 2000)
    start = (jnp.zeros(10), jnp.log(jnp.asarray(0.1)))
    _, acceptance = jax.jit(lambda keys: jax.lax.scan(move, start, keys))(keys)
    assert np.mean(acceptance[1000:]) == pytest.approx(0.9, abs=0.02)


def test_layers_move_together(getkey):
    def density(z):
        return -0.5 * (jnp.sum(z[0] ** 2) + jnp.sum((z[1] - 3.0) ** 2))

    z, acceptance = transition(
        density, (jnp.zeros(2), jnp.full(3, 3.0)), jnp.asarray(0.1), leapfrog=3, key=getkey()
    )
    assert [layer.shape for layer in z] == [(2,), (3,)]
    assert 0.9 < acceptance <= 1
    assert all(np.all(layer != before) for layer, before in zip(z, (0.0, 3.0), strict=True))
