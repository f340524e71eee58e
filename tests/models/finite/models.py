"""Small models with finite latent variables, and their evidence in NumPy and SciPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from tightbound.distributions import (
    Bernoulli,
    BernoulliComponents,
    BernoulliPrior,
    Categorical,
    GaussianComponents,
)
from tightbound.models import Model
from tightbound.networks import MLP, Dense

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0], [4.0, 1.0], [-1.0, 4.0]])
COVARIANCES = np.array(
    [[[1.4, 0.9], [0.9, 0.9]], [[0.4, -0.3], [-0.3, 1.2]], [[1.0, -0.8], [-0.8, 0.9]]]
)


def as_type(tree, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)


def three_gaussians(dtype=np.float32):
    likelihood = GaussianComponents.from_covariances(
        jnp.asarray(MEANS, dtype), jnp.asarray(COVARIANCES, dtype)
    )
    return Model(Categorical(jnp.asarray(np.log(WEIGHTS), dtype)), likelihood)


def gaussian_data(n, *, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=WEIGHTS)
    factors = np.linalg.cholesky(COVARIANCES)
    noise = rng.standard_normal((n, 2))
    return (MEANS[z] + np.einsum("nij,nj->ni", factors[z], noise)).astype(np.float32)


def scipy_log_joint(model, x):
    """Log p(x, k) by SciPy, from the covariances of the model."""
    weights = special.log_softmax(np.asarray(model.prior.logits, np.float64))
    covariances = np.asarray(model.likelihood.covariances(), np.float64)
    means = np.asarray(model.likelihood.means, np.float64)
    return np.stack(
        [
            w + stats.multivariate_normal.logpdf(x, mean, covariance)
            for w, mean, covariance in zip(weights, means, covariances, strict=True)
        ],
        axis=-1,
    )


def network(dtype=np.float32, *, units=4, pixels=6, seed=1):
    """Product-Bernoulli latents with unequal odds, and a likelihood with one hidden layer."""
    keys = jax.random.split(jax.random.key(seed), 3)
    trunk = MLP.glorot(units, (5,), key=keys[0])
    weight = 1.5 * jax.random.normal(keys[1], (5, pixels))
    prior = BernoulliPrior(0.7 * jax.random.normal(keys[2], (units,)))
    likelihood = Bernoulli(trunk, Dense(weight, jnp.linspace(-1.0, 1.0, pixels)))
    return as_type(Model(prior, likelihood), dtype)


def summed_in_python(model, x):
    """Log p(x) of one datum of `network`, value by value."""
    odds = np.asarray(model.prior.logits, np.float64)
    head, (hidden,) = model.likelihood.logits, model.likelihood.trunk.layers
    total = 0.0
    for z in itertools.product((0.0, 1.0), repeat=len(odds)):
        p_z = np.prod([special.expit(a if unit else -a) for unit, a in zip(z, odds, strict=True)])
        h = np.tanh(np.asarray(z) @ np.asarray(hidden.weight, np.float64) + np.asarray(hidden.bias))
        logits = h @ np.asarray(head.weight, np.float64) + np.asarray(head.bias)
        total += p_z * np.prod(special.expit(np.where(x == 1, logits, -logits)))
    return np.log(total)


def pixel_mixture(dtype=np.float32):
    """A mixture of products of Bernoullis."""
    logits = np.random.default_rng(4).normal(0, 1.5, (3, 6))
    prior = Categorical(jnp.asarray([0.3, -0.2, 0.0], dtype))
    return Model(prior, BernoulliComponents(jnp.asarray(logits, dtype)))


def binary_data(n, pixels=6, *, seed=2):
    return (np.random.default_rng(seed).random((n, pixels)) < 0.4).astype(np.float32)
