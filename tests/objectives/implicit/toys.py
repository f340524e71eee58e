"""Linear-Gaussian parts whose log-ratios, scores and divergences are known."""

import equinox as eqx
import jax
import jax.numpy as jnp

import tightbound as tb
from tightbound.distributions import DiagonalNormal, Implicit, StandardNormal
from tightbound.networks import MLP, Dense

MEAN, SCALE = jnp.array([0.5, -0.3]), jnp.array([0.7, 1.2])
"""Of q at x = 0; its mean moves by SLOPE x."""
SLOPE = jnp.array([[0.4, 0.1], [-0.2, 0.3]])
SPREAD = 0.8
"""Standard deviation of x given z, whose mean is z."""


def affine(slope, shift, log_scale):
    """N(slope x + shift, exp(2 log_scale))."""
    zero = jnp.zeros_like(slope)
    return DiagonalNormal(MLP((), "tanh"), Dense(slope, shift), Dense(zero, log_scale))


def model():
    """z ~ N(0, I), x ~ N(z, SPREAD^2)."""
    likelihood = affine(jnp.eye(2), jnp.zeros(2), jnp.full(2, jnp.log(SPREAD)))
    return tb.Model(StandardNormal(2), likelihood)


class Affine(eqx.Module):
    """z = slope x + shift + scale * noise: an implicit q whose density the tests know."""

    slope: jax.Array
    shift: jax.Array
    log_scale: jax.Array

    def __call__(self, noise, x):
        return x @ self.slope + self.shift + jnp.exp(self.log_scale) * noise


def implicit():
    """The same q, known by its draws alone."""
    return Implicit(network=Affine(SLOPE, MEAN, jnp.log(SCALE)), noise=2)


def explicit():
    """The same q with its density."""
    return affine(SLOPE, MEAN, jnp.log(SCALE))
