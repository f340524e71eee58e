"""Variational recurrent networks that are linear and normal, as one dense normal, in float64.

The memory holds z_{t-1} and x_{t-1}, in units so small that its squashing is the identity. With
m the mask of what is known, and told as 0 where it is not,

    z_t = A z_{t-1} + B (m x)_{t-1} + a + noise,
    x_t = C z_t + D z_{t-1} + E (m x)_{t-1} + c + noise.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tightbound import distributions, likelihoods, models, networks
from tightbound.distributions import AbstractExplicit
from tightbound.distributions.triangular import inverse

A = np.array([[0.5, 0.25], [-0.5, 0.75]])
B = np.array([[0.25, 0.5], [0.5, -0.25]])
MOVE = np.array([0.25, -0.5])
C = np.array([[1.0, 0.5], [-0.25, 1.0]])
D = np.array([[0.25, -0.25], [0.5, 0.25]])
E = np.array([[0.5, 0.25], [-0.25, 0.25]])
SHIFT = np.array([0.5, -0.25])
FACTOR_Q = np.array([[0.75, 0.0], [0.25, 0.5]])
FACTOR_R = np.array([[0.5, 0.0], [0.25, 0.75]])
Q, R = FACTOR_Q @ FACTOR_Q.T, FACTOR_R @ FACTOR_R.T
UNIT = 2.0**-11
SIZE = 4
"""Numbers of z_t and x_t together."""


def memory():
    """tanh(UNIT [z, x]): the update gate is shut, and the state before has no weight."""
    inputs, latents, bias = np.zeros((4, 12)), np.zeros((2, 12)), np.zeros(12)
    latents[:, 8:10], inputs[:2, 10:] = UNIT * np.eye(2), UNIT * np.eye(2)
    bias[4:8] = -40.0
    dense = [
        networks.Dense(jnp.asarray(weight, jnp.float32), jnp.asarray(of, jnp.float32))
        for weight, of in ((inputs, bias), (np.zeros((4, 12)), np.zeros(12)))
    ]
    zeros = jnp.zeros(12)
    of_z = networks.Dense(jnp.asarray(latents, jnp.float32), zeros)
    return distributions.Memory(networks.Recurrent(*dense), of_z, jnp.zeros(4), None)


def model(steps):
    before = np.concatenate([A, B], axis=1) / UNIT
    law = distributions.LinearNormal.of(before, MOVE, Q, "Q")
    emission = np.concatenate([C, D / UNIT, E / UNIT], axis=1)
    step = distributions.LinearNormal.of(emission, SHIFT, R, "R")
    prior = distributions.RecurrentPrior(steps, memory(), law)
    return models.RecurrentModel(prior, likelihoods.Stepwise(step, steps))


def joint(told):
    """Mean and covariance of all (z_t, x_t), where the memory is told these values."""
    steps = len(told)
    whole, offset, noise = (np.zeros((SIZE * steps, n)) for n in (SIZE * steps, 1, SIZE * steps))
    for t in range(steps):
        z, x = slice(SIZE * t, SIZE * t + 2), slice(SIZE * t + 2, SIZE * t + 4)
        whole[z, z] = whole[x, x] = np.eye(2)
        whole[x, z] = -C
        offset[z, 0], offset[x, 0] = MOVE, SHIFT
        noise[z, z], noise[x, x] = Q, R
        if t:
            old_z, old_x = (slice(of.start - SIZE, of.stop - SIZE) for of in (z, x))
            seen = np.diag(told[t - 1].astype(float))
            whole[z, old_z], whole[z, old_x] = -A, -B @ seen
            whole[x, old_z], whole[x, old_x] = -D, -E @ seen
    mean = np.linalg.solve(whole, offset)[:, 0]
    return mean, np.linalg.solve(whole, np.linalg.solve(whole, noise).T)


def places(steps):
    """Where z and x stand in all numbers."""
    return [(SIZE * np.arange(steps)[:, None] + np.arange(2) + first).ravel() for first in (0, 2)]


def log_p(x):
    """Log p of the known values of one sequence."""
    known = ~np.isnan(x)
    mean, cov = joint(known)
    at = places(len(x))[1][known.ravel()]
    away = x[known] - mean[at]
    cov = cov[np.ix_(at, at)]
    return -0.5 * (away @ np.linalg.solve(cov, away) + np.linalg.slogdet(2 * np.pi * cov)[1])


def given(x, told=None):
    """Mean and covariance of all (z_t, x_t) given the known values of one sequence."""
    known = ~np.isnan(x)
    mean, cov = joint(known if told is None else told)
    at = places(len(x))[1][known.ravel()]
    gain = np.linalg.solve(cov[np.ix_(at, at)], cov[at]).T
    return mean + gain @ (x[known] - mean[at]), cov - gain @ cov[at]


class Exact(AbstractExplicit):
    """p(z|x) of one sequence, whatever is given, and N(0, I) behind its end."""

    centre: jax.Array
    factor: jax.Array
    steps: int = eqx.field(static=True)

    @staticmethod
    def of(x):
        steps = len(x)
        mean, cov = given(x)
        at = places(steps)[0]
        alive = np.repeat(np.flip(np.cumsum(np.flip((~np.isnan(x)).any(axis=1)))) > 0, 2)
        mean = np.where(alive, mean[at], 0)
        cov = np.where(np.outer(alive, alive), cov[np.ix_(at, at)], np.eye(2 * steps))
        return Exact(
            *(jnp.asarray(of, jnp.float32) for of in (mean, np.linalg.cholesky(cov))), steps
        )

    @property
    def support(self):
        return "real"

    def sample(self, given, *, key):
        noise = jax.random.normal(key, self.centre.shape)
        return (self.centre + self.factor @ noise).reshape(self.steps, 2)

    def log_prob(self, value, given):
        white = inverse(self.factor) @ (jnp.ravel(value) - self.centre)
        volume = jnp.sum(jnp.log(jnp.diagonal(self.factor)))
        return jnp.sum(jax.scipy.stats.norm.logpdf(white)) - volume
