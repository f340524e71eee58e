"""Densities on the plane and beyond whose integral is known, by algebra or to published digits."""

import jax
import jax.numpy as jnp
import numpy as np

import tightbound as tb

FIVE_MEANS = np.array([(-10, -10), (0, 16), (13, 8), (-9, 7), (14, -14)], np.float32)
FIVE_COVARIANCES = np.array(
    [
        [[2, 0.6], [0.6, 1]],
        [[2, -0.4], [-0.4, 2]],
        [[2, 0.8], [0.8, 2]],
        [[3, 0], [0, 0.5]],
        [[2, -0.1], [-0.1, 2]],
    ],
    np.float32,
)
WELLS = 10.293480
"""Log of the integral of one pair of the many-well density."""


def mixture(means, covariances, weights):
    """A mixture of normals whose weights need not sum to one: they are its integral."""
    factors = jnp.linalg.cholesky(jnp.asarray(covariances, jnp.float32))
    log_volume = jnp.sum(jnp.log(jnp.diagonal(factors, axis1=1, axis2=2)), axis=1)
    means, log_weights = jnp.asarray(means, jnp.float32), jnp.log(jnp.asarray(weights, jnp.float32))
    dim = means.shape[1]

    def log_density(z):
        white = jax.vmap(lambda f, m: jax.scipy.linalg.solve_triangular(f, z - m, lower=True))(
            factors, means
        )
        each = -0.5 * (jnp.sum(white**2, axis=1) + dim * jnp.log(2 * jnp.pi)) - log_volume
        return jax.nn.logsumexp(each + log_weights)

    return tb.Target(log_density, dim)


def five_modes():
    """Z = 1, mean (1.6, 1.4)."""
    return mixture(FIVE_MEANS, FIVE_COVARIANCES, np.full(5, 0.2))


def four_dimensions():
    """Liu's example: Z = 4.5, each mean 1/3."""
    covariances = [2 * np.eye(4), np.eye(4), np.diag([2, 1, 1, 0.5])]
    means = np.array([0.0, 3, -3])[:, None] * np.ones(4)
    return mixture(means, covariances, [1, 2, 1.5])


def banana():
    """Z = 7.99792, mean (-0.48448, 0), variances (1.38133, 8.90810)."""
    return tb.Target(
        lambda z: -((4 - 10 * z[0] - z[1] ** 2) ** 2) / 32 - (z[0] ** 2 + z[1] ** 2) / (2 * 3.5**2),
        2,
    )


def wells(pairs):
    """The many-well density of `pairs` pairs of dimensions, each with two modes."""

    def log_density(z):
        a, b = z[::2], z[1::2]
        return jnp.sum(0.5 * a + 6 * a**2 - a**4 - 0.5 * b**2)

    return tb.Target(log_density, 2 * pairs)


def shells():
    """Two Gaussian shells of radius 2 and width 0.1 about (+-3.5, 0); log Z = -1.75 + log 144."""

    def log_density(z):
        centre = jnp.array([3.5, 0.0])
        radius = jnp.stack([jnp.linalg.norm(z - centre), jnp.linalg.norm(z + centre)])
        return jax.nn.logsumexp(-0.5 * (radius - 2) ** 2 / 0.01 - 0.5 * jnp.log(0.02 * jnp.pi))

    return tb.Target(log_density, 2)


def eggbox():
    """(2 + cos(x/2) cos(y/2))^5 for x, y uniform on (0, 10 pi): log Z = 235.86 (235.855940)."""

    def log_density(u):
        x = 10 * jnp.pi * jax.nn.sigmoid(u)
        log_prior = jnp.sum(jax.nn.log_sigmoid(u) + jax.nn.log_sigmoid(-u))
        return (2 + jnp.cos(x[0] / 2) * jnp.cos(x[1] / 2)) ** 5 + log_prior

    return tb.Target(log_density, 2)


def twisted(dim):
    """Haario's twisted normal with b = 0.03: Z = 1, variances 100, 19, 1, ..."""

    def log_density(z):
        second = z[1] + 0.03 * (z[0] ** 2 - 100)
        y = jnp.concatenate([jnp.stack([z[0] / 10, second]), z[2:]])
        return -0.5 * (jnp.sum(y**2) + dim * jnp.log(2 * jnp.pi)) - jnp.log(10.0)

    return tb.Target(log_density, dim)


class Wide(tb.distributions.StandardNormal):
    """N(0, 5^2 I): where methods start."""

    def sample(self, given=None, *, key):
        return 5 * super().sample(given, key=key)

    def log_prob(self, value, given=None):
        return super().log_prob(value / 5, given) - self.dim * jnp.log(5.0)
