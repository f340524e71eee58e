"""Gaussian mixing of a Gaussian layer: h(z|x) is Gaussian, so that everything is known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
from tests import once
from tests.oracles.linear_gaussian import affine_normal

from tightbound.distributions import SemiImplicit, StandardNormal
from tightbound.models import Model
from tightbound.objectives import Params

X = jnp.array([0.8, -0.5, 0.3])
MIXING = np.array([[0.9, -0.3], [0.4, 0.7]])
"""How the noise moves the mean of z: full, so that no diagonal normal is the reverse of it."""
DIAGONAL = np.diag([0.9, 0.7])
POINT = np.zeros((2, 2))
LOADING = np.array([[1.0, 0.5], [-0.3, 0.8], [0.2, 0.4]])


SCALE = np.array([0.4, 0.5])


def posterior(mixing=MIXING, scale=SCALE):
    of_x = np.array([[0.3, -0.1, 0.2], [0.0, 0.4, -0.2]])
    matrix = np.concatenate([mixing, of_x], axis=1)
    return SemiImplicit(affine_normal(matrix, np.array([0.1, -0.2]), scale), 2)


def parts(mixing=MIXING, prior=None, scale=SCALE):
    likelihood = affine_normal(LOADING, np.array([0.1, 0.0, -0.1]), np.array([0.6, 0.7, 0.8]))
    return Params(
        Model(StandardNormal(2) if prior is None else prior, likelihood), posterior(mixing, scale)
    )


def mixed_prior():
    """N(b, A A' + diag(s^2)) as a mixture over noise, given nothing."""
    matrix = np.array([[0.8, 0.2], [-0.3, 0.6]])
    return SemiImplicit(affine_normal(matrix, np.array([0.2, -0.1]), np.array([0.7, 0.8])), 2)


def moments(q, x=None):
    """Mean and covariance of h, and the standard deviations of its explicit layer."""
    weight, scale = q.layer.location.weight, jnp.exp(q.layer.log_scale.bias)
    mean = q.layer.location.bias + (0.0 if x is None else x @ weight[q.noise :])
    mixing = weight[: q.noise]
    return mean, mixing.T @ mixing + jnp.diag(scale**2), scale


def log_h(q, z, x=None):
    mean, cov, _ = moments(q, x)
    away = z - mean
    return -0.5 * (away @ jnp.linalg.solve(cov, away) + jnp.linalg.slogdet(2 * jnp.pi * cov)[1])


def expected_log_normal(mean, cov, at, of):
    """E log N(z; at, of) over z ~ N(mean, cov)."""
    inverse = jnp.linalg.inv(of)
    away = mean - at
    distance = away @ inverse @ away + jnp.trace(inverse @ cov)
    return -0.5 * (distance + jnp.linalg.slogdet(2 * jnp.pi * of)[1])


def expected_log_joint(parts, x, prior_at=None):
    """E log p(x, z) over h; `prior_at` is (mean, covariance) of the prior, or N(0, I)."""
    mean, cov, _ = moments(parts.posterior, x)
    at, of = (jnp.zeros(2), jnp.eye(2)) if prior_at is None else prior_at
    layer = parts.model.likelihood
    loading, noise = layer.location.weight, jnp.exp(2 * layer.log_scale.bias)
    of_x = expected_log_normal(
        mean @ loading + layer.location.bias, loading.T @ cov @ loading, x, jnp.diag(noise)
    )
    return expected_log_normal(mean, cov, at, of) + of_x


def entropy(cov):
    return 0.5 * jnp.linalg.slogdet(2 * jnp.pi * jnp.e * cov)[1]


def elbo(parts, x, prior_at=None):
    return expected_log_joint(parts, x, prior_at) + entropy(moments(parts.posterior, x)[1])


def hierarchical(parts, x, prior_at=None):
    """The bound whose q is the joint distribution of noise and z: K = 0."""
    scale = moments(parts.posterior, x)[2]
    return expected_log_joint(parts, x, prior_at) + entropy(jnp.diag(scale**2))


def bounds(objective, parts, replicas, seed=0, x=X):
    """Independent values of the bound of one datum."""
    keys = jax.random.split(jax.random.key(seed), replicas)
    one = jax.jit(lambda keys: once.bound(objective, parts, jnp.tile(x, (replicas, 1)), keys))
    return np.asarray(one(keys), np.float64)
