"""Linear-Gaussian state-space models as one dense normal, in NumPy and float64.

All states follow from F z = offsets + noise, in which F has ones and below them -A: nothing of a
recursion over steps is left. The matrices are dyadic, so that single precision holds them all.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tightbound import models
from tightbound.core.items import observed, values
from tightbound.distributions import AbstractExplicit
from tightbound.distributions.steps import live
from tightbound.distributions.triangular import cholesky, inverse

A = np.array([[0.75, 0.25], [-0.5, 0.5]])
MOVE = np.array([0.25, -0.125])
C = np.array([[1.0, 0.5], [-0.25, 1.0], [0.5, -0.75]])
SHIFT = np.array([0.5, 0.0, -0.25])
MEAN = np.array([0.5, -1.0])
FACTOR_Q = np.array([[0.5, 0.0], [0.25, 0.5]])
FACTOR_R = np.array([[0.5, 0.0, 0.0], [0.25, 0.5, 0.0], [0.0, -0.25, 1.0]])
FACTOR_P = np.array([[1.0, 0.0], [-0.5, 0.5]])
Q, R, P = (factor @ factor.T for factor in (FACTOR_Q, FACTOR_R, FACTOR_P))


class Joint(NamedTuple):
    """The joint normal of all states and all values."""

    mean_z: np.ndarray
    cov_z: np.ndarray
    mean_x: np.ndarray
    cov_x: np.ndarray
    across: np.ndarray
    """Cov(z, x)."""


def model(steps):
    return models.linear_state_space(
        A, Q, C, R, MEAN, P, steps=steps, transition_offset=MOVE, emission_offset=SHIFT
    )


def joint(steps):
    whole = np.eye(2 * steps) - np.kron(np.eye(steps, k=-1), A)
    noise = np.kron(np.eye(steps), Q)
    noise[:2, :2] = P
    moves = np.tile(MOVE, steps)
    moves[:2] = MEAN
    mean_z = np.linalg.solve(whole, moves)
    cov_z = np.linalg.solve(whole, np.linalg.solve(whole, noise).T)
    emission = np.kron(np.eye(steps), C)
    mean_x = emission @ mean_z + np.tile(SHIFT, steps)
    cov_x = emission @ cov_z @ emission.T + np.kron(np.eye(steps), R)
    return Joint(mean_z, cov_z, mean_x, cov_x, cov_z @ emission.T)


def log_p(x):
    """Log p of the known values of one sequence."""
    known = ~np.isnan(x.ravel())
    of = joint(len(x))
    away = (x.ravel() - of.mean_x)[known]
    cov = of.cov_x[np.ix_(known, known)]
    distance = away @ np.linalg.solve(cov, away)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * cov)[1])


def given(x):
    """Mean and covariance of all states given the known values of one sequence."""
    known = ~np.isnan(x.ravel())
    of = joint(len(x))
    gain = np.linalg.solve(of.cov_x[np.ix_(known, known)], of.across[:, known].T).T
    mean = of.mean_z + gain @ (x.ravel() - of.mean_x)[known]
    return mean, of.cov_z - gain @ of.across[:, known].T


def holed(x):
    """Sequences of 5 steps or more with holes of each kind: one ends early, one begins late, ..."""
    x = np.array(x, np.float32)
    x[0, 3:] = np.nan
    x[1, 2] = np.nan
    x[2, 1, 0] = x[2, -1, 1] = np.nan
    x[3, 0] = x[3, -1] = np.nan
    return x


def drawn(steps, n, seed=0):
    """Sequences of the model with holes."""
    x, _ = jax.vmap(model(steps).sample)(jax.random.split(jax.random.key(seed), n))
    return holed(x)


class Exact(AbstractExplicit):
    """The exact posterior of all states, N(0, I) behind the end of a sequence."""

    steps: int = eqx.field(static=True)

    @property
    def support(self):
        return "real"

    def moments(self, x):
        of = joint(self.steps)
        mean_z, cov_z, mean_x, cov_x, across = (jnp.asarray(a, jnp.float32) for a in of)
        known = jnp.astype(jnp.ravel(observed(x)), jnp.float32)
        spread = known[:, None] * cov_x * known[None, :] + jnp.diag(1 - known)
        whiten = inverse(cholesky(spread))
        gain = (whiten @ (known[:, None] * across.T)).T
        mean = mean_z + gain @ whiten @ (known * (jnp.ravel(values(x)) - mean_x))
        cov = cov_z - gain @ gain.T
        alive = live(x)
        if alive is not None:
            alive = jnp.repeat(jnp.astype(alive, jnp.float32), 2)
            mean = alive * mean
            cov = alive[:, None] * cov * alive[None, :] + jnp.diag(1 - alive)
        return mean, cholesky(cov)

    def sample(self, given, *, key):
        mean, factor = self.moments(given)
        return (mean + factor @ jax.random.normal(key, mean.shape)).reshape(self.steps, 2)

    def log_prob(self, value, given):
        mean, factor = self.moments(given)
        white = inverse(factor) @ (jnp.ravel(value) - mean)
        volume = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -0.5 * (jnp.sum(white**2) + jnp.log(2 * jnp.pi) * len(mean)) - volume
